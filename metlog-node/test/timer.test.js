// Functions that are timed.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { memoryClient } = require('./support.js');

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
