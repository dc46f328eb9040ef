// What applications make of a client: subclasses, methods of their own, objects and proxies before it.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { inherits } = require('node:util');

const { MetlogClient } = require('metlog');
const { memorySenderFactory } = require('metlog/senders');
const { captureLogs } = require('metlog/testing');
const { memoryClient } = require('./support.js');

const original = MetlogClient.prototype.metlog;

/** Ways to have a `metlog` of one's own, each giving a client whose calls are written to `seen`. */
const OVERRIDES = {
  'a property of the client': (sender, seen) => {
    const client = new MetlogClient(sender, 'app');
    client.metlog = function own(...given) {
      seen.push(given);
      original.apply(this, given);
    };
    return client;
  },
  'a subclass': (sender, seen) => {
    class Own extends MetlogClient {
      metlog(...given) {
        seen.push(given);
        super.metlog(...given);
      }
    }
    return new Own(sender, 'app');
  },
  'an ES5 subclass': (sender, seen) => {
    function Own(...given) {
      MetlogClient.apply(this, given);
    }
    inherits(Own, MetlogClient);
    Own.prototype.metlog = function own(...given) {
      seen.push(given);
      Own.super_.prototype.metlog.apply(this, given);
    };
    return new Own(sender, 'app');
  },
  'a patched prototype': (sender, seen, t) => {
    t.after(() => {
      MetlogClient.prototype.metlog = original;
    });
    MetlogClient.prototype.metlog = function own(...given) {
      seen.push(given);
      original.apply(this, given);
    };
    return new MetlogClient(sender, 'app');
  },
  'a plugin': (sender, seen) => {
    const client = new MetlogClient(sender, 'app');
    const own = function own(...given) {
      seen.push(given);
      original.apply(this, given);
    };
    client.addMethod('metlog', own, true);
    return client;
  },
};

for (const [name, make] of Object.entries(OVERRIDES)) {
  test(`a metlog of ${name} gets what every method sends, and may pass it on`, (t) => {
    const [sender, seen] = [memorySenderFactory(), []];
    const client = make(sender, seen, t);
    client.incr('n', { count: 2, fields: { a: 1 }, logger: 'l' });
    client.gauge('g', 3);
    client.timer_send(5, 't');
    client.timer(() => 0, 't')();
    client.warn('w', { fields: { b: 1 } });
    client.info('i');
    client.cef(
      'n',
      1,
      {},
      { 'cef.version': 0, 'cef.vendor': '', 'cef.product': '', 'cef.device_version': 0 },
    );
    client.sendException(new Error('e'));
    const types = ['counter', 'gauge', 'timer', 'timer', 'oldstyle', 'oldstyle', 'cef', 'sentry'];
    assert.deepEqual(
      seen.map(([type]) => type),
      types,
    );
    assert.deepEqual(seen[0][1], {
      ...{ count: 2, logger: 'l', payload: '2' },
      fields: { a: 1, name: 'n', rate: 1 },
    });
    assert.deepEqual(seen[4][1], { severity: 4, payload: 'w', fields: { b: 1 } });
    assert.deepEqual(seen[5][1].fields, {});
    const messages = sender.messages.map(({ type, logger, payload }) => [type, logger, payload]);
    assert.deepEqual(
      messages.map(([type]) => type),
      types,
    );
    assert.deepEqual(messages[0], ['counter', 'l', '2']);
  });
}

test('a metlog of the application may keep messages, and one that throws is counted', () => {
  const { client, sender } = memoryClient();
  client.metlog = () => {};
  client.info('kept');
  client.metlog = () => {
    throw new Error('own');
  };
  client.incr('n');
  assert.deepEqual([sender.messages, client.stats().refused], [[], { send: 1 }]);
});

test('a timer_send of the application gets the times of timers, whose dice were thrown', () => {
  const { client, sender } = memoryClient();
  const seen = [];
  client.timer_send = function own(elapsed, name, options) {
    seen.push([Number.isInteger(elapsed), name, options.rate]);
    MetlogClient.prototype.timer_send.call(this, elapsed, name, options);
  };
  for (let n = 0; n < 1000; n += 1) {
    client.timer(() => 0, 'half', { rate: 0.5 })();
  }
  client.timer(() => 0, 'never', { rate: 0 })();
  assert.ok(seen.length > 350 && seen.length < 650, `${seen.length}`);
  assert.deepEqual(
    seen.filter(([whole, name, rate]) => !whole || name !== 'half' || rate !== 0.5),
    [],
  );
  assert.equal(sender.messages.length, seen.length);
  client.timer_send = () => {
    throw new Error('own');
  };
  assert.equal(client.timer(() => 7, 't')(), 7);
  assert.deepEqual(client.stats().refused, { send: 1 });
});

/** Objects that stand before a client, or are one in another way. */
const STAND_INS = {
  'an object that inherits': (client) => Object.create(client),
  'a proxy': (client) => new Proxy(client, {}),
  'a method that is bound': (client) => ({ __proto__: client, info: client.info.bind(client) }),
};

for (const [name, make] of Object.entries(STAND_INS)) {
  test(`${name} does all that the client does, with it`, () => {
    const { client, sender } = memoryClient();
    const own = make(client);
    own.info('x');
    own.counter('c').incr();
    own.timer(() => 0, 't')();
    own.sendException(new Error('e'));
    assert.equal(own.flush(), true);
    assert.deepEqual(own.stats(), client.stats());
    const types = sender.messages.map(({ type }) => type).sort();
    assert.deepEqual(types, ['counter', 'oldstyle', 'sentry', 'timer']);
  });
}

test('an object that inherits may have a logger of its own', () => {
  const { client, sender } = memoryClient();
  const own = Object.create(client);
  own.logger = 'part';
  own.info('x');
  client.info('y');
  assert.deepEqual(
    sender.messages.map(({ logger }) => logger),
    ['part', 'app'],
  );
});

test('one that was never constructed, or is frozen, throws nothing', () => {
  for (const client of [Object.create(MetlogClient.prototype), Object.freeze(memoryClient().client)]) {
    client.info('x');
    client.incr('n');
    client.stats();
    assert.equal(client.timer(() => 7, 't')(), 7);
  }
});

test('methods stand on the prototype, with the class that instances name', () => {
  const client = new MetlogClient();
  assert.equal(client.constructor, MetlogClient);
  assert.equal(MetlogClient.name, 'MetlogClient');
  assert.equal(typeof Object.getOwnPropertyDescriptor(MetlogClient.prototype, 'info').value, 'function');
});

test('a plugin may take the name of what has no setter, and the client sums all the same', () => {
  const { client, sender } = memoryClient();
  client.addMethod('aggregates', () => 'own');
  client.addMethod('counter', () => 'own');
  assert.deepEqual([client.aggregates(), client.counter()], ['own', 'own']);
  assert.deepEqual(Object.keys(client._dynamicMethods), ['aggregates', 'counter']);
  client.timer('t').record(1);
  client.flush();
  assert.equal(sender.messages.length, 1);
  const refusing = Object.freeze(new MetlogClient());
  assert.throws(() => refusing.addMethod('mine', () => 0), TypeError);
  assert.deepEqual(refusing._dynamicMethods, {});
});

for (const native of [true, false]) {
  test(`a client has its pid and hostname, and what is set there is sent (${native})`, () => {
    const memory = memorySenderFactory();
    const messages = [];
    const sender = native ? memory : { sendMessage: (message) => messages.push(message) };
    const client = new MetlogClient(sender);
    assert.deepEqual([client.pid, client.hostname], [process.pid, require('node:os').hostname()]);
    client.info('usual');
    client.pid = 7;
    client.hostname = 'web1';
    client.info('own');
    client.info('given', { pid: 8, hostname: 'web2' });
    const seen = (native ? memory.messages : messages).map((message) => [
      message.metlog_pid,
      message.metlog_hostname,
    ]);
    assert.deepEqual(seen, [
      [process.pid, require('node:os').hostname()],
      [7, 'web1'],
      [8, 'web2'],
    ]);
    const [captured] = captureLogs(() => client.info('captured'));
    assert.equal(captured.metlog_hostname, 'web1');
  });
}
