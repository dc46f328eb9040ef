// The short way into the addon: what is written into its memory arrives as JSON would have carried it.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { MetlogClient } = require('metlog');
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

/** Runs `calls` and gives back how many of them took the longer way. */
function longer(t, calls) {
  const { mock } = t.mock.method(require('../lib/native.js'), 'metlogWith');
  calls();
  const count = mock.callCount();
  mock.restore();
  return count;
}

const NOW = Date.now();

/** What a call may say of who says it and when, and what the message then has; undefined as the sender has it. */
const IDENTITIES = [
  { given: {} },
  { given: { logger: 'other' }, seen: { logger: 'other' } },
  { given: { logger: 'x'.repeat(255) }, seen: { logger: 'x'.repeat(255) } },
  { given: { hostname: 'web-1.example.com' }, seen: { metlog_hostname: 'web-1.example.com' } },
  { given: { pid: 1 }, seen: { metlog_pid: 1 } },
  { given: { pid: 2 ** 32 - 1 }, seen: { metlog_pid: 2 ** 32 - 1 } },
  { given: { timestamp: 0 }, seen: { timestamp: '1970-01-01T00:00:00.000000Z' } },
  { given: { timestamp: 1.5 }, seen: { timestamp: '1970-01-01T00:00:00.001500Z' } },
  { given: { timestamp: NOW }, seen: { timestamp: new Date(NOW).toISOString().replace('Z', '000Z') } },
  {
    given: { timestamp: new Date(NOW) },
    seen: { timestamp: new Date(NOW).toISOString().replace('Z', '000Z') },
  },
  { given: { timestamp: 2 ** 32 / 1000 }, seen: { timestamp: '1970-01-01T01:11:34.967296Z' } },
  {
    given: { logger: 'other', timestamp: 1, pid: 7, hostname: 'h' },
    seen: {
      logger: 'other',
      timestamp: '1970-01-01T00:00:00.001000Z',
      metlog_pid: 7,
      metlog_hostname: 'h',
    },
  },
  { given: { logger: '' }, seen: { logger: '' }, isLong: true },
  { given: { logger: 'é' }, seen: { logger: 'é' }, isLong: true },
  { given: { logger: 'x'.repeat(256) }, seen: { logger: 'x'.repeat(256) }, isLong: true },
  { given: { hostname: '' }, seen: { metlog_hostname: '' }, isLong: true },
  { given: { pid: 0 }, seen: { metlog_pid: 0 }, isLong: true },
  { given: { pid: -1 }, seen: { metlog_pid: -1 }, isLong: true },
  { given: { pid: 2 ** 32 }, seen: { metlog_pid: 2 ** 32 }, isLong: true },
  { given: { timestamp: -1 }, seen: { timestamp: '1969-12-31T23:59:59.999000Z' }, isLong: true },
  {
    given: { timestamp: '2026-01-01T00:00:00Z' },
    seen: { timestamp: '2026-01-01T00:00:00.000000Z' },
    isLong: true,
  },
];

for (const { given, seen, isLong = false } of IDENTITIES) {
  test(`a message may say ${JSON.stringify(given).slice(0, 60)}, and the next is the sender's own`, (t) => {
    const { client, sender } = memoryClient();
    const count = longer(t, () => {
      client.metlog('a', { ...given, payload: 'p', fields: { a: 1 } });
      client.metlog('a', { payload: 'p', fields: { a: 1 } });
    });
    assert.equal(count, isLong ? 1 : 0);
    const [message, next] = sender.messages;
    assert.deepEqual({ ...message, timestamp: 0 }, { ...next, ...seen, timestamp: 0 });
    assert.equal(message.timestamp, seen?.timestamp ?? message.timestamp);
    assert.equal(next.logger, 'app');
    assert.ok(Math.abs(Date.parse(next.timestamp) - Date.now()) < 60_000);
  });
}

test('a second client of a sender, a line of pino and a date take the short way', (t) => {
  const { sender } = memoryClient();
  const other = new MetlogClient(sender, 'other');
  const logger = require('pino')({ name: 'inner' }, require('metlog/pino')({ client: other }));
  const count = longer(t, () => {
    other.info('from the second');
    logger.info({ disk: 91 }, 'from pino');
    other.metlog('a', { fields: { when: new Date(0), never: new Date(Number.NaN) } });
  });
  assert.equal(count, 0);
  const [second, line, dates] = sender.messages;
  assert.deepEqual([second.logger, line.logger, dates.logger], ['other', 'inner', 'other']);
  assert.deepEqual([line.metlog_pid, line.fields], [process.pid, { disk: 91 }]);
  assert.deepEqual(dates.fields, { when: '1970-01-01T00:00:00.000Z', never: null });
});

test('a taker that is told nonsense refuses and counts', () => {
  const native = require('../lib/native.js');
  const { START, head, memory } = require('../lib/pack.js');
  const handle = native.memorySender();
  const take = native.taker(handle, memory);
  const at = START;
  const now = 2 ** 32 - 1;
  // Severity; where type, logger, hostname, payload and fields end; how many fields; process; both halves of the time.
  const nonsense = [
    [6, 0, 0, 0, 0, 0, 0, 0, now, 0],
    [6, at, at, at, at, at, 0, 0, now, 0],
    [6, at + 1, at, at, at + 1, at + 1, 0, 0, now, 0],
    [6, at, at + 1, at, at + 1, at + 1, 0, 0, now, 0],
    [6, at, at, at + 1, at, at, 0, 0, now, 0],
    [6, at, at, at, at + 1, SIZE + 1, 0, 0, now, 0],
    [6, at, SIZE + 1, SIZE + 1, SIZE + 2, SIZE + 2, 0, 0, now, 0],
    [6, at, at, at, at + 1, at + 1, 0, 0, now - 1, 0],
    new Array(10).fill(2 ** 32 - 1),
  ];
  for (const numbers of nonsense) {
    head.set(numbers);
    take();
  }
  memory[START] = 0xff;
  for (const [kind, logger, hostname] of [
    [1, 1, 1],
    [0, 1, 1],
    [0, 0, 1],
  ]) {
    head.set([6, at + kind, at + logger, at + hostname, at + 2, at + 2, 0, 0, now, 0]);
    take('an argument is not looked at');
  }
  const { attempted, refused } = native.stats(handle);
  assert.deepEqual([attempted, refused], [12, { encode: 12 }]);
});
