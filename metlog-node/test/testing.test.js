// What applications' tests use: captured messages.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { MetlogClient, configure, counter, getClient, timer } = require('metlog');
const { captureLogs } = require('metlog/testing');
const { NINE_KEYS, eventOf, memoryClient } = require('./support.js');

const types = (messages) => messages.map(({ type }) => type);
const pause = () => new Promise((resolve) => setImmediate(resolve));

test('what every client sends inside is given back, and nothing of it leaves', () => {
  const { client, sender } = memoryClient('one');
  const seen = [];
  const other = new MetlogClient({ sendMessage: (message) => seen.push(message) }, 'two');
  const messages = captureLogs(() => {
    client.info('hello');
    other.metlog('services', { fields: { a: 1 } });
    client.sendException(new Error('boom'));
  });
  assert.deepEqual(types(messages), ['oldstyle', 'services', 'sentry']);
  assert.deepEqual(
    messages.map(({ logger }) => logger),
    ['one', 'two', 'one'],
  );
  assert.deepEqual(Object.keys(messages[1]), NINE_KEYS);
  assert.equal(eventOf(messages[2]).message, 'Error: boom');
  assert.deepEqual([sender.messages, seen], [[], []]);
});

test('filters decide, and what is summed comes too', () => {
  const { client, sender } = memoryClient();
  configure({ logger: 'app', sender, filters: { typeBlacklist: 'noise' } });
  const requests = counter('requests');
  requests.incr(40);
  const messages = captureLogs(() => {
    getClient().metlog('noise');
    requests.incr(2);
    requests.incr();
    client.aggregates.gauge('depth').add(2);
    timer('query').record(12.4);
  });
  const seen = messages.map(({ type, payload, fields, logger }) => [type, payload, fields, logger]);
  assert.deepEqual(seen.sort(), [
    ['counter', '3', { name: 'requests', rate: 1 }, 'app'],
    ['gauge', '2', { name: 'depth', rate: 1 }, 'app'],
    ['timer', '12', { name: 'query', rate: 1 }, 'app'],
  ]);
  requests.incr();
  getClient().flush();
  assert.deepEqual(
    sender.messages.map(({ payload }) => payload),
    ['41'],
  );
});

test('a promise is waited for, and afterwards clients send as before', async () => {
  const { client, sender } = memoryClient();
  client.metlog('before');
  const messages = await captureLogs(async () => {
    await pause();
    client.metlog('inside');
  });
  client.metlog('after');
  assert.deepEqual([types(messages), types(sender.messages)], [['inside'], ['before', 'after']]);
});

test('a function that fails fails, and clients send as before', async () => {
  const { client, sender } = memoryClient();
  const boom = new Error('boom');
  const fail = () => {
    throw boom;
  };
  assert.throws(() => captureLogs(fail), boom);
  await assert.rejects(
    captureLogs(async () => fail()),
    boom,
  );
  client.metlog('after');
  assert.deepEqual(types(sender.messages), ['after']);
});

test('of captures within each other the innermost gets the messages, until it is stopped', () => {
  const { client, sender } = memoryClient();
  const outer = captureLogs();
  const inner = captureLogs();
  client.metlog('one');
  assert.deepEqual([types(inner.messages), types(outer.messages)], [['one'], []]);
  inner.stop();
  client.metlog('two');
  assert.deepEqual([types(inner.stop()), types(outer.stop())], [['one'], ['two']]);
  client.metlog('after');
  assert.deepEqual(types(sender.messages), ['after']);
});
