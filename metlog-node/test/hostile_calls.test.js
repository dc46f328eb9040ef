// Every public call with every value that no call should be handed: nothing throws, and every message is counted.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const metlog = require('metlog');
const { memorySenderFactory } = require('metlog/senders');
const { memoryClient } = require('./support.js');

const thrower = () => {
  throw new Error('hostile');
};

const revoked = Proxy.revocable(() => 0, {});
revoked.revoke();

const gone = Proxy.revocable({}, {});
gone.revoke();

const cyclic = { name: 'cyclic' };
cyclic.self = cyclic;
cyclic.list = [cyclic];

/** A proxy each of whose traps throws. */
const trapped = new Proxy(function target() {}, new Proxy({}, { get: () => thrower }));

class EvilError extends Error {
  get message() {
    return thrower();
  }
  get stack() {
    return thrower();
  }
  get cause() {
    return thrower();
  }
}

const VALUES = [
  ...[undefined, null, true, -1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, -0, 7n, -(10n ** 40n)],
  ...['', 'a', '\ud800', 'a\udc00b\0', '__proto__', 'constructor', '*', 'x'.repeat(10 << 20)],
  ...[Symbol('s'), Symbol.iterator, () => 0, thrower, async () => thrower()],
  ...[
    [],
    [undefined],
    new Array(3),
    cyclic,
    [cyclic],
    revoked.proxy,
    gone.proxy,
    trapped,
    Object.create(null),
  ],
  ...[{ toJSON: thrower }, { toString: thrower, valueOf: thrower }, { [Symbol.toPrimitive]: thrower }],
  ...[
    // biome-ignore lint/suspicious/noThenProperty: that is the case
    { then: thrower },
    {
      get fields() {
        return thrower();
      },
    },
    {
      get rate() {
        return thrower();
      },
    },
  ],
  ...[new Date(Number.NaN), new Map([[cyclic, trapped]]), new Set([1]), /a/g, new Proxy({}, {}), Object(1n)],
  ...[new EvilError(), new AggregateError([revoked.proxy, trapped]), new Error('e', { cause: cyclic })],
  ...[new ArrayBuffer(8), new Uint8Array(4), new SharedArrayBuffer(8), globalThis, new WeakRef({})],
];

/** Every public call that takes something; `v` stands wherever a value can. */
const CALLS = {
  metlog: (c, v) => c.metlog(v, v),
  'metlog, each option': (c, v) =>
    c.metlog('a', { timestamp: v, logger: v, severity: v, payload: v, fields: v, pid: v, hostname: v }),
  'metlog, a field': (c, v) => c.metlog('a', { fields: { v, list: [v], nested: { v } } }),
  incr: (c, v) => c.incr(v, v, v),
  'incr, each option': (c, v) => c.incr('n', { count: v, rate: v, fields: v }),
  gauge: (c, v) => c.gauge(v, v, v),
  timer_send: (c, v) => c.timer_send(v, v, v),
  'timer of a function': (c, v) => c.timer(() => 0, v, v)(),
  'timer, what the function gives back': (c, v) => {
    assert.ok(Object.is(c.timer(() => v, 'n')(), v));
    for (const name of ['then', 'catch', 'finally', 'constructor', 'cancel']) {
      const promise = Object.defineProperty(Promise.resolve(), name, { value: v });
      assert.equal(c.timer(() => promise, 'n')(), promise);
    }
    for (const name of ['next', 'return', 'throw', Symbol.asyncIterator]) {
      const iterator = { next: () => v, [Symbol.asyncIterator]: () => iterator, [name]: v };
      assert.equal(c.timer(() => iterator, 'n')(), iterator);
    }
  },
  'timer by name': (c, v) => c.timer('n', v).start().stop(),
  debug: (c, v) => c.debug(v, v),
  info: (c, v) => c.info(v, { fields: v }),
  exception: (c, v) => c.exception(v, v),
  sendException: (c, v) => c.sendException(v, v),
  'sendException, each option': (c, v) =>
    c.sendException(new Error('e'), { msg: v, extra: v, dsn: v, severity: v, fields: v }),
  cef: (c, v) => c.cef(v, v, v, v, v),
  'counter handle': (c, v) => c.counter(v).incr(v),
  'gauge handle': (c, v) => {
    const gauge = c.aggregates.gauge(v);
    gauge.set(v);
    gauge.add(v);
  },
  'timer handle': (c, v) => c.aggregates.timer(v).record(v),
  'aggregates by name': (c, v) => {
    c.aggregates.incr(v, v);
    c.aggregates.set(v, v);
    c.aggregates.record(v, v);
  },
  bind: (c, v) => c.bind(v, () => c.info('bound')),
  'bind, a field': (c, v) => c.bind({ v }, () => c.metlog('a', { fields: v })),
  'counter, bound late': (_, v) => metlog.counter(v).incr(v),
  'gauge, bound late': (_, v) => metlog.gauge(v).set(v),
  'timer, bound late': (_, v) => metlog.timer(v).record(v),
  flush: (c, v) => c.flush(v),
  close: (_, v) => memoryClient().client.close(v),
};

metlog.configure({ logger: 'late', sender: memorySenderFactory() });

/** As applications have them: as it comes, and with methods of their own before those of ours. */
const CLIENTS = {
  'a client': memoryClient,
  'a client with methods of its own': () => {
    const { client, sender } = memoryClient();
    for (const name of ['metlog', 'timer_send']) {
      client[name] = function own(...given) {
        return metlog.MetlogClient.prototype[name].apply(this, given);
      };
    }
    return { client, sender };
  },
};

const CASES = Object.entries(CALLS).flatMap(([name, call]) =>
  Object.entries(CLIENTS).map(([kind, make]) => [`${name} of ${kind}`, call, make]),
);

for (const [name, call, make] of CASES) {
  test(`${name}: no value gets an exception out of it`, () => {
    const { client, sender } = make();
    for (const [index, value] of VALUES.entries()) {
      try {
        call(client, value);
      } catch (error) {
        assert.fail(`value ${index} (${typeof value}): ${error?.stack}`);
      }
      client.metlog('still alive', { fields: { index } });
    }
    const { attempted, accepted, refused } = client.stats();
    const sum = Object.values(refused).reduce((all, count) => all + count, 0);
    assert.equal(attempted, accepted + sum);
    const alive = sender.messages.filter(({ type }) => type === 'still alive');
    assert.deepEqual(
      alive.map(({ fields }) => fields.index),
      VALUES.map((_, index) => index),
    );
  });
}
