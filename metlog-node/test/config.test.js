// Clients from a configuration.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { MetlogClient, clientFromJsonConfig } = require('metlog');
const { getGlobalConfig, resolveName } = require('metlog/config');

const sender = { factory: 'metlog/senders:memorySenderFactory' };

test('a text and an object configure alike', () => {
  const config = {
    sender,
    logger: 'app',
    severity: 3,
    disabledTimers: ['slow'],
    filters: [['metlog/filters:typeBlacklistProvider', { types: ['noise'] }]],
  };
  for (const given of [config, JSON.stringify(config)]) {
    const client = clientFromJsonConfig(given);
    client.metlog('noise');
    client.timer(() => 0, 'slow')();
    client.metlog('a');
    const seen = client.sender.messages.map(({ type, logger, severity }) => [type, logger, severity]);
    assert.deepEqual(seen, [['a', 'app', 3]]);
  }
});

test('a client may be configured again', () => {
  const client = new MetlogClient();
  assert.equal(clientFromJsonConfig({ sender, logger: 'one' }, client), client);
  clientFromJsonConfig({ sender, logger: 'two' }, client);
  client.incr('n');
  assert.equal(client.sender.messages[0].logger, 'two');
});

test('null stands for what is not given', () => {
  const nothing = {
    logger: null,
    severity: null,
    disabledTimers: null,
    filters: null,
    plugins: null,
    global: null,
  };
  const client = clientFromJsonConfig(JSON.stringify({ sender, ...nothing }), null);
  const { logger, severity, disabledTimers, filters } = client;
  assert.deepEqual([logger, severity, disabledTimers, filters], ['', 6, [], []]);
});

test('the factory gets the whole sender object', () => {
  const config = { sender: { factory: 'metlog/senders:udpSenderFactory', hosts: 'localhost' } };
  assert.throws(() => clientFromJsonConfig(config), /Invalid host\/port combination: \[localhost\] \[\]/);
});

test('global settings are kept until they are cleared', () => {
  clientFromJsonConfig({ sender, global: { a: 1 } });
  clientFromJsonConfig({ sender, global: { b: 2 } });
  assert.deepEqual(getGlobalConfig(), { a: 1, b: 2 });
  clientFromJsonConfig({ sender }, undefined, true);
  assert.deepEqual(getGlobalConfig(), {});
});

test('a name resolves to what its module exports', () => {
  assert.equal(resolveName('metlog/config:resolveName'), resolveName);
  assert.equal(resolveName('node:path:join'), require('node:path').join);
});

const ERRORS = [
  ['{"sender":', /no JSON/],
  ['[]', /no object/],
  [{}, /sender\.factory is missing/],
  [{ sender: {} }, /sender\.factory is missing/],
  [{ sender: { factory: 'no/such/module:x' } }, /sender\.factory "no\/such\/module:x" does not resolve/],
  [
    { sender: { factory: 'metlog/senders:noSuch' } },
    /sender\.factory "metlog\/senders:noSuch" does not resolve/,
  ],
  [{ sender: { factory: 'metlog/senders' } }, /does not resolve.*"module:attribute"/],
  [{ sender: { factory: 'metlog/senders:fileSenderFactory' } }, /sender\.filePath is missing/],
  [{ sender, filters: ['x'] }, /filters is no list of lists/],
  [
    { sender, filters: [['metlog/filters:noSuch', {}]] },
    /filters\[0\] "metlog\/filters:noSuch" does not resolve/,
  ],
  [{ sender, plugins: { p: { provider: 'a:b' } } }, /plugins\.p\.provider "a:b" does not resolve/],
];

for (const [config, message] of ERRORS) {
  test(`${JSON.stringify(config)} is an error that says why`, () => {
    assert.throws(() => clientFromJsonConfig(config), { code: 'config', message });
  });
}
