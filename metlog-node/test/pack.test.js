// The short way into the addon: what is written into its memory arrives as JSON would have carried it.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { memoryClient } = require('./support.js');
const { plainJson } = require('../lib/plain.js');

const SIZE = require('../lib/pack.js').SIZE;

class Point {
  x = 1;
}

const inherited = Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } });

const VALUES = [
  ...[0, -0, 1, -1, -32, -33, 127, 128, 255, 256, 65_535, 65_536, -128, -129, -32_768, -32_769],
  ...[
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 31) - 1,
    2 ** 32,
    2 ** 53,
    -(2 ** 53),
    1e20,
    1e21,
    -1e19,
    1e300,
  ],
  ...[2 ** 63, -(2 ** 63), 2 ** 64, 0.1, -2.5, 1e-300, Number.NaN, Number.POSITIVE_INFINITY, Date.now()],
  ...['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(300), 'x'.repeat(20_000), 'é', '漢字', '\u{1f600}'],
  ...['\0', '"\\\n', 'a\ud800b', '\udc00', `${'x'.repeat(31)}é`],
  ...[true, false, null, undefined, () => 0, Symbol('s')],
  ...[[], [1, 'a', null], [undefined, () => 0, Symbol('s')], [[[1]]], {}, { a: { b: { c: [1, { d: 2 }] } } }],
  // biome-ignore lint/suspicious/noSparseArray: that is the case
  ...[[1, , 3], Array.from({ length: 20 }, (_, index) => index)],
  ...[new Date(0), new Point(), new Map([[1, 2]]), /a/, Object(1), Object('a'), inherited, Buffer.from('a')],
  ...[{ toJSON: () => 'mine' }, { toJSON: 1 }, Object.create(null, { a: { value: 1, enumerable: true } })],
  ...[
    { 1: 'b', z: 1, 0: 'a' },
    { [Symbol('s')]: 1, a: 1 },
    {
      get a() {
        return 3;
      },
    },
  ],
  Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`name ${index}`, index])),
  JSON.parse('{"__proto__": {"a": 1}}'),
];

/** What JSON makes of a value, lone surrogates replaced. */
function asJson(fields) {
  return JSON.parse(plainJson(JSON.parse(JSON.stringify(fields))));
}

for (const [index, value] of VALUES.entries()) {
  test(`value ${index} (${typeof value}) arrives as JSON has it`, () => {
    const { client, sender } = memoryClient();
    const fields = { before: 1, value, after: [value], nested: { value }, é: value };
    client.metlog('a', { fields, payload: 'é' });
    const [message] = sender.messages;
    assert.deepEqual(message.fields, asJson(fields));
    assert.deepEqual(Object.keys(message.fields), Object.keys(asJson(fields)));
    assert.equal(message.payload, 'é');
  });
}

const TEXTS = ['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'é', 'a\ud800b', 'x'.repeat(SIZE)];

for (const text of TEXTS) {
  test(`a text of ${text.length} arrives as type, payload, name and logger`, () => {
    const { client, sender } = memoryClient(text);
    client.metlog(text, { payload: text, fields: { [text]: text } });
    client.incr(text, { fields: { name: 'theirs' } });
    const expected = text.replace('\ud800', '\ufffd');
    const [message, metric] = sender.messages;
    assert.deepEqual(
      [message.type, message.payload, message.logger, message.fields],
      [expected, expected, expected, { [expected]: expected }],
    );
    assert.deepEqual([metric.payload, metric.fields], ['1', { name: expected, rate: 1 }]);
  });
}

test('a message that just fits the memory, and one that just does not, both arrive', () => {
  const { client, sender } = memoryClient();
  const lengths = Array.from({ length: 40 }, (_, index) => Math.floor(SIZE / 3) - 20 + index);
  for (const length of lengths) {
    client.metlog('a', { payload: 'x'.repeat(length), fields: { list: new Array(length).fill(1) } });
  }
  const seen = sender.messages.map(({ payload, fields }) => [payload.length, fields.list.length]);
  assert.deepEqual(
    seen,
    lengths.map((length) => [length, length]),
  );
});

test('a call made by a getter while a call is written harms neither', () => {
  const { client, sender } = memoryClient();
  const fields = {
    before: 'b'.repeat(30),
    get value() {
      client.metlog('inner', { payload: 'i'.repeat(100), fields: { x: 1 } });
      return 2;
    },
    after: 3,
  };
  client.metlog('outer', { fields });
  const [inner, outer] = sender.messages;
  assert.deepEqual([inner.type, inner.fields], ['inner', { x: 1 }]);
  assert.deepEqual([outer.type, outer.fields], ['outer', { before: 'b'.repeat(30), value: 2, after: 3 }]);
});

test('a call whose getter throws leaves the short way open', () => {
  const { client, sender } = memoryClient();
  client.metlog('a', {
    fields: {
      get a() {
        throw new Error('a');
      },
    },
  });
  client.metlog('b', { fields: { a: 1 } });
  assert.deepEqual(
    sender.messages.map(({ fields }) => fields),
    [{ a: '[unreadable]' }, { a: 1 }],
  );
});

test('a taker that is told nonsense refuses and counts', () => {
  const native = require('../lib/native.js');
  const { START, head, memory } = require('../lib/pack.js');
  const handle = native.memorySender();
  const take = native.taker(handle, memory);
  const nonsense = [
    [6, 0, 0, 0, 0],
    [6, START, START, START, 0],
    [6, START + 1, START, START, 0],
    [6, START, START + 1, SIZE + 1, 0],
    [2 ** 32 - 1, START + 1, START + 2, 2 ** 32 - 1, 2 ** 32 - 1],
  ];
  for (const numbers of nonsense) {
    head.set(numbers);
    take();
  }
  memory[START] = 0xff;
  head.set([6, START + 1, START + 2, START + 2, 0]);
  take('an argument is not looked at');
  const { attempted, refused } = native.stats(handle);
  assert.deepEqual([attempted, refused], [6, { encode: 6 }]);
});
