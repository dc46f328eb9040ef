// Values that no logging call should be handed, and is.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { MetlogClient } = require('metlog');
const { memoryClient } = require('./support.js');

const cyclic = { name: 'cyclic' };
cyclic.self = cyclic;

const nested = (depth) => {
  let value = 1;
  for (let level = 0; level < depth; level += 1) {
    value = { a: value };
  }
  return value;
};

const revoked = Proxy.revocable({}, {});
revoked.revoke();

const throwing = (trap) =>
  new Proxy(
    { a: 1 },
    {
      [trap]() {
        throw new Error(trap);
      },
    },
  );

/** What is given as a field, and what must be seen there: a value, or a test of it. */
const FIELDS = [
  ['a cyclic object', cyclic, { name: 'cyclic', self: '[circular]' }],
  [
    'a getter that throws',
    {
      get a() {
        throw new Error('a');
      },
      b: 1,
    },
    { a: '[unreadable]', b: 1 },
  ],
  [
    'toJSON that throws',
    {
      toJSON() {
        throw new Error('no');
      },
    },
    '[unreadable]',
  ],
  ['a proxy that throws on get', throwing('get'), '[unreadable]'],
  ['a proxy that throws on ownKeys', throwing('ownKeys'), '[unreadable]'],
  ['a revoked proxy', revoked.proxy, '[unreadable]'],
  ['a small BigInt', 10n, 10],
  ['a large BigInt', 10n ** 30n, '1000000000000000000000000000000'],
  [
    'a cyclic object beside a BigInt',
    { cyclic, big: 7n },
    { cyclic: { name: 'cyclic', self: '[circular]' }, big: 7 },
  ],
  ['NaN', Number.NaN, null],
  ['Infinity', Number.POSITIVE_INFINITY, null],
  ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
  ['a lone surrogate in a name', { '\udc00': 1 }, { '\ufffd': 1 }],
  ['a pair of surrogates', '\u{1f600}', '\u{1f600}'],
  ['values nested too deep', nested(1000), (value) => JSON.stringify(value).includes('[deep]')],
  [
    'values nested deeper than JSON.stringify goes',
    nested(100_000),
    (value) => JSON.stringify(value).includes('[deep]'),
  ],
  ['an invalid date', new Date(Number.NaN), null],
  ['an object without a prototype', Object.create(null, { a: { value: 1, enumerable: true } }), { a: 1 }],
  ['__proto__ as a name', JSON.parse('{"__proto__": 1}'), (value) => Object.keys(value)[0] === '__proto__'],
];

for (const [name, value, expected] of FIELDS) {
  test(`a field may be ${name}; its neighbour arrives`, () => {
    const { client, sender } = memoryClient();
    client.metlog('a', { fields: { value, neighbour: 1 } });
    client.metlog('a', { payload: value });
    const [message, other] = sender.messages;
    assert.equal(message.fields.neighbour, 1);
    for (const seen of [message.fields.value, other.payload]) {
      if (typeof expected === 'function') {
        assert.ok(expected(seen), JSON.stringify(seen));
      } else {
        assert.deepEqual(seen, expected);
      }
    }
  });
}

test('an array of nothing is no long text, nor a long line', () => {
  const { jsonEncoder } = require('metlog/senders/encoders');
  const { client, sender } = memoryClient();
  const nothing = new Array(3e8);
  const started = performance.now();
  client.info(nothing);
  client.metlog(nothing);
  assert.match(jsonEncoder({ fields: { list: nothing } }), /\[truncated\]/);
  const elapsed = performance.now() - started;
  assert.ok(elapsed < 2000, `${elapsed} ms`);
  assert.deepEqual(
    sender.messages.map(({ type, payload }) => [type, payload]),
    [
      ['oldstyle', '[truncated]'],
      ['[truncated]', ''],
    ],
  );
});

test('what JSON leaves out is left out, whatever stands beside it', () => {
  const none = { f: () => 0, s: Symbol('s'), u: undefined };
  for (const neighbour of [1, 1n, '\ud800', cyclic, new Date(0)]) {
    const { client, sender } = memoryClient();
    client.metlog('a', { fields: { neighbour, ...none, list: Object.values(none) } });
    const { neighbour: _, ...fields } = sender.messages[0].fields;
    assert.deepEqual(fields, { list: [null, null, null] });
  }
});

/** Values that take little memory and would make much JSON. */
const TINY = {
  'an array of nothing': { list: new Array(3e7) },
  'an array of nothing, deep': { a: [{ b: [new Array(3e7)] }] },
  'an array of nothing beside a BigInt': { big: 1n, list: new Array(3e7) },
  'an array of nothing beside a lone surrogate': { text: '\ud800', list: new Array(3e7) },
  'a text shared many times': { list: new Array(10_000).fill('x'.repeat(1e6)) },
  'a text shared many times, beside a BigInt': { big: 1n, list: new Array(10_000).fill('x'.repeat(1e6)) },
  'an object shared a billion times': Array.from({ length: 30 }).reduce(
    (shared) => ({ a: shared, b: shared }),
    {},
  ),
};

for (const [name, fields] of Object.entries(TINY)) {
  test(`${name} keeps the thread for no long time`, () => {
    const { client } = memoryClient();
    const started = performance.now();
    client.metlog('a', { fields });
    client.metlog('a', { payload: fields });
    client.sendException(new Error('e'), { fields });
    const elapsed = performance.now() - started;
    // Five seconds and more for each of them without a bound.
    assert.ok(elapsed < 2000, `${elapsed} ms`);
    // Exceptions are finished on a thread of their own.
    client.flush();
    const { attempted, accepted, refused } = client.stats();
    assert.deepEqual([attempted, accepted + (refused.too_big ?? 0)], [3, 3]);
  });
}

/** What would be taken apart into millions of parts where an object is expected. */
const WIDE = {
  'a long text': 'x'.repeat(10 << 20),
  bytes: Buffer.alloc(2 << 20),
  'a long list': Array.from({ length: 2 << 20 }, (_, index) => index),
  'a text that `toJSON` gives': { toJSON: () => 'x'.repeat(10 << 20) },
};

for (const [name, value] of Object.entries(WIDE)) {
  test(`${name} in place of an object keeps the thread for no long time`, () => {
    const seen = [];
    const client = new MetlogClient({ sendMessage: (message) => seen.push(message) });
    const started = performance.now();
    client.metlog('a', { fields: value });
    client.sendException(new Error('e'), { fields: value });
    client.sendException(new Error('e'), { extra: value });
    client.sendException(new Error('e'), value);
    client.sendException(value);
    client.bind(value, () => client.info('bound'));
    const elapsed = performance.now() - started;
    // A minute for the text, three seconds for the others.
    assert.ok(elapsed < 2000, `${elapsed} ms`);
    assert.deepEqual([seen.length, seen[5].fields], [6, { original: { fields: value } }]);
  });
}

test('a value shared a billion times is cut short', () => {
  let shared = { big: 1n };
  for (let level = 0; level < 30; level += 1) {
    shared = { a: shared, b: shared };
  }
  const { plainJson } = require('../lib/plain.js');
  const json = plainJson(shared);
  assert.ok(json.includes('[truncated]') && json.length < 1_000_000, `${json.length}`);
  JSON.parse(json);
});

const unspeakable = {
  toString() {
    throw new Error('no');
  },
};

const CALLS = [
  ['a text of 10 MB', (c) => c.metlog('a', { payload: 'x'.repeat(10 << 20) }), 'too_big'],
  ['fields of 10 MB', (c) => c.metlog('a', { fields: { a: 'x'.repeat(10 << 20) } }), 'too_big'],
  ['a type of 10 MB', (c) => c.metlog('x'.repeat(10 << 20)), 'too_big'],
  ['options that throw', (c) => c.metlog('a', throwing('get')), 'encode'],
  ['fields that are a revoked proxy', (c) => c.metlog('a', { fields: revoked.proxy }), 'encode'],
];

for (const [name, call, reason] of CALLS) {
  test(`${name} is refused and counted, and the next call arrives`, () => {
    const { client, sender } = memoryClient();
    call(client);
    client.info('next');
    assert.deepEqual(client.stats().refused, { [reason]: 1 });
    assert.equal(sender.messages.length, 1);
  });
}

test('no argument of any call throws', () => {
  const { client, sender } = memoryClient();
  const values = [
    undefined,
    null,
    unspeakable,
    Symbol('s'),
    cyclic,
    revoked.proxy,
    throwing('get'),
    7n,
    Number.NaN,
    () => 0,
  ];
  for (const value of values) {
    client.metlog(value, { severity: value, logger: value, timestamp: value, pid: value, hostname: value });
    client.metlog('a', { fields: value, payload: value });
    client.incr(value, { count: value, rate: value });
    client.incr('n', value, value);
    client.gauge(value, value, value);
    client.timer_send(value, value, value);
    client.timer(() => 0, value, value)();
    client.error(value, value);
    client.setup(sender, value, value, value);
    client.metlog('a');
    client.timer(() => 0, value)();
    client.setup(sender);
  }
  const { attempted, accepted, refused } = client.stats();
  assert.equal(attempted, accepted + (refused.encode ?? 0));
  assert.ok(accepted > values.length * 6, `${accepted}`);
  assert.equal(sender.messages.length, accepted);
});
