// Methods that plugins add to a client.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const test = require('node:test');

const { MetlogClient, clientFromJsonConfig } = require('metlog');

const { memoryClient, temporaryFile } = require('./support.js');

const sender = { factory: 'metlog/senders:memorySenderFactory' };

test('a method is called with the client as this', () => {
  const { client, sender: memory } = memoryClient();
  function hello(name) {
    this.info(`hello ${name}`);
    return name;
  }
  client.addMethod('hello', hello);
  assert.equal(client.hello('world'), 'world');
  assert.equal(memory.messages[0].payload, 'hello world');
  assert.equal(client._dynamicMethods.hello, hello);
  assert.equal(memoryClient().client.hello, undefined);
});

test('a method that is no function, or whose name is in use, is an error', () => {
  const client = new MetlogClient();
  const method = () => 0;
  client.addMethod('mine', method);
  assert.throws(() => client.addMethod('a', 'b'), { message: '`method` argument must be a function' });
  for (const name of ['mine', 'incr', 'addMethod', 'logger', 'toString']) {
    assert.throws(() => client.addMethod(name, method), {
      code: 'config',
      message: `The name ${name} is already in use`,
    });
    assert.notEqual(client[name], undefined);
  }
});

test('a method may take a name in use where it says so, and a name that the originals had not', () => {
  const { client } = memoryClient();
  client.addMethod('incr', () => 'own', true);
  client.addMethod('gauge', () => 'own');
  client.addMethod('cef', () => 'own');
  assert.deepEqual([client.incr('n'), client.gauge('n', 1), client.cef()], ['own', 'own', 'own']);
});

/** The name of a provider that gives back a method which gives back its settings. */
function provider(t) {
  const file = `${temporaryFile(t)}.cjs`;
  fs.writeFileSync(file, 'module.exports = { provide: (settings) => () => settings, none: () => 7 };');
  return `${file}:provide`;
}

test('a configuration names plugins; configured again, the client has those of the new one', (t) => {
  const plugin = { provider: provider(t), a: 1 };
  const client = clientFromJsonConfig({ sender, plugins: { one: plugin, two: plugin } });
  assert.deepEqual(client.one(), { a: 1 });
  client.addMethod('own', () => 'own');
  const again = JSON.stringify({
    sender,
    plugins: { one: { ...plugin, a: 2 }, warn: { ...plugin, override: true } },
  });
  clientFromJsonConfig(again, client);
  assert.deepEqual([client.one(), client.two, client.own()], [{ a: 2 }, undefined, 'own']);
  assert.deepEqual(client.warn(), { a: 1 });
  assert.deepEqual(Object.keys(client._dynamicMethods), ['own', 'one', 'warn']);
  clientFromJsonConfig({ sender }, client);
  client.warn('the original again');
  assert.equal(client.sender.messages[0].payload, 'the original again');
});

test('the plugins that come with Metlog are named by their modules', () => {
  const plugins = {
    cef: { provider: 'metlog/cef:configPlugin', syslog_facility: 'LOCAL4' },
    raven: { provider: 'metlog/raven:configPlugin', dsn: null },
  };
  const client = clientFromJsonConfig({ sender, plugins });
  client.raven('msg', new Error('x'));
  assert.equal(client.cef.cef_meta.syslog_facility, 'LOCAL4');
  assert.equal(client.sender.messages[0].type, 'sentry');
});

test('a plugin that is wrong is an error that says why, and the client stays as it was', (t) => {
  const name = provider(t);
  const client = clientFromJsonConfig({ sender, plugins: { old: { provider: name, a: 1 } } });
  const before = client.sender;
  for (const [plugins, message] of [
    [{ p: {} }, /plugins\.p\.provider is missing/],
    [{ p: null }, /plugins\.p\.provider is missing/],
    [{ p: { provider: 'no/such:x' } }, /plugins\.p\.provider "no\/such:x" does not resolve/],
    [{ p: { provider: name.replace('provide', 'none') } }, /`method` argument must be a function/],
    [{ first: { provider: name }, incr: { provider: name } }, /The name incr is already in use/],
    [{ cef: { provider: 'metlog/cef:configPlugin', syslog_ident: 7 } }, /syslog_ident|string/i],
  ]) {
    assert.throws(() => clientFromJsonConfig({ sender, plugins }, client), { code: 'config', message });
    assert.deepEqual([client.sender, client.old(), client.first], [before, { a: 1 }, undefined]);
  }
});
