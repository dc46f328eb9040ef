// Functions that are timed.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { memoryClient, run } = require('./support.js');

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

test('a timed function keeps this, its arguments and its value', () => {
  const { client, sender } = memoryClient();
  const counter = {
    base: 40,
    add: client.timer(function add(a, b) {
      return this.base + a + b;
    }, 'add'),
  };
  assert.equal(counter.add(1, 1), 42);
  assert.equal(counter.add(1, 2), 43);
  assert.deepEqual(
    sender.messages.map(({ type, fields }) => [type, fields.name]),
    [
      ['timer', 'add'],
      ['timer', 'add'],
    ],
  );
});

test('a function that throws is timed and throws', () => {
  const { client, sender } = memoryClient();
  const boom = new Error('boom');
  const fails = client.timer(() => {
    throw boom;
  }, 'fails');
  assert.throws(fails, boom);
  assert.equal(sender.messages.length, 1);
});

test('a promise is timed until it settles', async () => {
  const { client, sender } = memoryClient();
  const slow = client.timer(async (value) => {
    await pause(50);
    return value;
  }, 'slow');
  const promise = slow(7);
  assert.equal(client.stats().attempted, 0);
  assert.equal(await promise, 7);
  const fails = client.timer(async () => {
    await pause(50);
    throw new Error('boom');
  }, 'fails');
  await assert.rejects(fails(), /boom/);
  const times = sender.messages.map(({ payload }) => Number(payload));
  assert.equal(times.length, 2);
  assert.ok(
    times.every((time) => Number.isInteger(time) && time >= 45),
    `${times}`,
  );
});

test('a thenable that is no promise is left alone', () => {
  const { client, sender } = memoryClient();
  let started = 0;
  // biome-ignore lint/suspicious/noThenProperty: a query that starts when it is awaited
  const query = { then: () => (started += 1) };
  assert.equal(client.timer(() => query, 'query')(), query);
  assert.equal(started, 0);
  assert.equal(sender.messages.length, 1);
});

class Cancelable extends Promise {
  cancel = () => 'cancelled';
}

class Childless extends Promise {
  static get [Symbol.species]() {
    throw new Error('species');
  }
}

/** A promise with what an application has put on it. */
function promiseWith(properties) {
  return Object.defineProperties(Promise.resolve(7), Object.getOwnPropertyDescriptors(properties));
}

const refuse = () => {
  throw new Error('hostile');
};

const PROMISES = {
  'with a method of its own': () => promiseWith({ cancel: () => 'cancelled' }),
  'with its own finally': () => promiseWith({ finally: refuse }),
  'with its own catch': () => promiseWith({ catch: refuse }),
  // biome-ignore lint/suspicious/noThenProperty: that is the case
  'with its own then': () => promiseWith({ then: refuse }),
  'with a constructor that cannot be read': () =>
    promiseWith({
      get constructor() {
        return refuse();
      },
    }),
  'that is frozen': () => Object.freeze(promiseWith({ a: 1 })),
  'of a class of its own': () => Cancelable.resolve(7),
  'of a class that can make no other': () => Childless.resolve(7),
};

for (const [name, make] of Object.entries(PROMISES)) {
  test(`a promise ${name} is given back itself, and timed once`, async () => {
    const { client, sender } = memoryClient();
    const promise = make();
    const timed = client.timer(() => promise, 'n')();
    assert.equal(timed, promise);
    await pause(1);
    assert.equal(sender.messages.length, 1);
  });
}

test('a timed promise that is rejected and handled by nobody is still unhandled', async () => {
  const source = `
    const { MetlogClient } = require('metlog');
    const { memorySenderFactory } = require('metlog/senders');
    const client = new MetlogClient(memorySenderFactory(), 'app');
    client.timer(async () => { throw new TypeError('nobody'); }, 'n')();`;
  const { code, stderr } = await run(source);
  assert.equal(code, 1);
  assert.match(stderr, /TypeError: nobody/);
});

/** Iterators, each with what goes wrong when somebody looks at it. */
const ITERATORS = {
  'whose return cannot be read': (iterator) =>
    Object.defineProperty(iterator, 'return', { get: refuse, configurable: true }),
  'whose next cannot be read': (iterator) =>
    Object.defineProperty(iterator, 'next', { get: refuse, configurable: true }),
  'whose properties cannot be set': (iterator) => new Proxy(iterator, { defineProperty: refuse }),
};

for (const [name, spoil] of Object.entries(ITERATORS)) {
  test(`an iterator ${name} is given back, and timed once`, () => {
    const { client, sender } = memoryClient();
    const iterator = spoil({ next: () => ({ done: true }), [Symbol.asyncIterator]: () => iterator });
    assert.equal(client.timer(() => iterator, 'n')(), iterator);
    if (!name.includes('next')) {
      iterator.next();
    }
    assert.equal(sender.messages.length, 1);
  });
}

test('a step that is none is what the application finds out', async () => {
  const { client, sender } = memoryClient();
  const steps = [
    undefined,
    7,
    {
      get done() {
        return refuse();
      },
    },
  ];
  for (const step of steps) {
    const iterator = { next: () => step, [Symbol.asyncIterator]: () => iterator };
    assert.equal(
      client
        .timer(() => iterator, 'n')()
        .next(),
      step,
    );
  }
  assert.equal(sender.messages.length, 2);
});

const GENERATORS = {
  'a generator': function* rows() {
    yield 1;
    yield 2;
    return 3;
  },
  'an asynchronous generator': async function* rows() {
    yield 1;
    await pause(20);
    yield 2;
    return 3;
  },
};

/** As compilers write asynchronous generators for older engines. */
function compiled() {
  const generator = GENERATORS['an asynchronous generator']();
  return {
    next: (value) => generator.next(value),
    return: (value) => generator.return(value),
    throw: (error) => generator.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

GENERATORS['a compiled generator'] = compiled;

test('a generator that is frozen, and what is none, are timed until they are given back', () => {
  const { client, sender } = memoryClient();
  for (const result of [
    Object.freeze(GENERATORS['a generator']()),
    [1].values(),
    new Map().keys(),
    {},
    [1],
  ]) {
    assert.equal(client.timer(() => result, 'n')(), result);
  }
  assert.equal(sender.messages.length, 5);
});

for (const [name, rows] of Object.entries(GENERATORS)) {
  test(`${name} is timed until its end, once`, async () => {
    const { client, sender } = memoryClient();
    const timed = client.timer(rows, 'rows');
    const generator = timed();
    const seen = [];
    for await (const row of generator) {
      assert.equal(client.stats().attempted, 0);
      seen.push(row);
    }
    assert.deepEqual(seen, [1, 2]);
    assert.deepEqual(await generator.next(), { value: undefined, done: true });
    assert.deepEqual([sender.messages.length, sender.messages[0].type], [1, 'timer']);
  });

  test(`${name} that is left early, or fails, is timed`, async () => {
    const { client, sender } = memoryClient();
    for await (const _ of client.timer(rows, 'left')()) {
      break;
    }
    const failing = client.timer(rows, 'failed')();
    await failing.next();
    await assert.rejects(async () => failing.throw(new Error('boom')), /boom/);
    assert.deepEqual(
      sender.messages.map(({ fields }) => fields.name),
      ['left', 'failed'],
    );
  });
}

test('a timer by name is started and stopped by hand', async () => {
  const { client, sender } = memoryClient();
  const timer = client.timer('manual', { fields: { user: 7 } });
  const running = timer.start();
  await pause(20);
  assert.ok(running.stop() >= 15);
  assert.equal(running.stop(), 0);
  timer.start().cancel();
  timer.record(12.6);
  assert.equal(
    timer.time(() => 7),
    7,
  );
  const [first, second] = sender.messages;
  assert.deepEqual(
    [sender.messages.length, first.fields, second.payload],
    [3, { user: 7, name: 'manual', rate: 1 }, '13'],
  );
});

test('a timer of the sums takes what a timer of messages takes', async () => {
  const { client, sender } = memoryClient();
  const timer = client.aggregates.timer('summed');
  timer.start().stop();
  timer.start().cancel();
  timer.record(5);
  assert.throws(timer.wrap(assert.fail));
  assert.equal(await timer.time(async () => 7), 7);
  assert.deepEqual([...timer.wrap(GENERATORS['a generator'])()], [1, 2]);
  client.flush();
  assert.deepEqual([sender.messages.length, sender.messages[0].fields.count], [1, 5]);
});

if (Symbol.dispose !== undefined) {
  test('a measurement ends at the end of a block with using', () => {
    const { client, sender } = memoryClient();
    client.timer('block').start()[Symbol.dispose]();
    assert.equal(sender.messages[0].fields.name, 'block');
  });
}

test('a timer by name that is disabled or sampled out measures nothing', () => {
  const { client } = memoryClient('app', 6, ['slow']);
  for (const timer of [client.timer('slow'), client.timer('n', { rate: 0 })]) {
    timer.start().stop();
    timer.record(5);
    assert.equal(
      timer.time(() => 7),
      7,
    );
  }
  assert.equal(client.stats().attempted, 0);
});

for (const disabled of [['slow'], new Set(['slow']), { slow: true }, 'slow', ['*']]) {
  test(`a timer disabled by ${JSON.stringify(disabled)} still calls its function`, () => {
    const { client } = memoryClient('app', 6, disabled);
    assert.equal(client.timer(() => 7, 'slow')(), 7);
    assert.equal(client.stats().attempted, 0);
  });
}

test('an inherited name disables nothing', () => {
  const { client } = memoryClient('app', 6, {});
  client.timer(() => 7, 'toString')();
  assert.equal(client.stats().attempted, 1);
});

test('a timer that is sampled out still calls its function', () => {
  const { client } = memoryClient();
  assert.equal(client.timer(() => 7, 'n', { rate: 0 })(), 7);
  assert.equal(client.stats().attempted, 0);
});
