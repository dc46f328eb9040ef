// What applications' tests use: captured messages.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { configure, counter, getClient } = require('metlog');
const { captureLogs } = require('metlog/testing');
const { memoryClient } = require('./support.js');

const types = (messages) => messages.map(({ type }) => type);

test('what the default client sends inside is given back, sums included', () => {
  const client = configure({ logger: 'app', filters: { typeBlacklist: 'noise' } });
  const requests = counter('captured');
  const messages = captureLogs(() => {
    getClient().info('hello');
    client.metlog('noise');
    requests.incr(3);
  });
  assert.deepEqual(types(messages), ['oldstyle', 'counter']);
  assert.deepEqual([messages[0].logger, messages[1].payload], ['app', '3']);
});

test('a promise is waited for, and afterwards the client sends as before', async () => {
  const { client, sender } = memoryClient();
  client.metlog('before');
  const messages = await captureLogs(client, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    client.metlog('inside');
  });
  client.metlog('after');
  assert.deepEqual([types(messages), types(sender.messages)], [['inside'], ['before', 'after']]);
});

test('a function that fails fails, and the client sends as before', async () => {
  const { client, sender } = memoryClient();
  const boom = new Error('boom');
  const fail = () => {
    throw boom;
  };
  assert.throws(() => captureLogs(client, fail), boom);
  await assert.rejects(
    captureLogs(client, async () => fail()),
    boom,
  );
  client.metlog('after');
  assert.deepEqual(types(sender.messages), ['after']);
});

test('a capture gives what was sent so far, and ends when it is stopped', () => {
  const { client, sender } = memoryClient();
  const capture = captureLogs(client);
  client.metlog('one');
  assert.deepEqual(types(capture.messages), ['one']);
  client.metlog('two');
  assert.deepEqual(types(capture.stop()), ['one', 'two']);
  client.metlog('after');
  assert.deepEqual([types(capture.messages), types(sender.messages)], [['one', 'two'], ['after']]);
});
