// Fields bound for a request.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { MetlogClient, bind } = require('metlog');
const { memorySenderFactory } = require('metlog/senders');
const { memoryClient } = require('./support.js');

const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

/** Clients on both paths: one of the core, and one whose sender is written in JavaScript. */
const PATHS = {
  core: () => memoryClient(),
  javascript: () => {
    const messages = [];
    return {
      client: new MetlogClient({ sendMessage: (message) => messages.push(message) }, 'app'),
      sender: { messages },
    };
  },
};

const CALLS = {
  metlog: (client) => client.metlog('services', { fields: { a: 1 } }),
  'metlog without fields': (client) => client.metlog('services'),
  info: (client) => client.info('hello'),
  incr: (client) => client.incr('n'),
  gauge: (client) => client.gauge('g', 1),
  timer_send: (client) => client.timer_send(5, 't'),
  timer: (client) => client.timer(() => {}, 't')(),
  sendException: (client) => client.sendException(new Error('boom')),
  cef: (client) =>
    client.cef('name', 5, null, {
      'cef.version': 0,
      'cef.vendor': 'v',
      'cef.product': 'p',
      'cef.device_version': 1,
    }),
};

for (const [path, make] of Object.entries(PATHS)) {
  for (const [name, call] of Object.entries(CALLS)) {
    test(`bound fields are added to ${name} (${path})`, () => {
      const { client, sender } = make();
      client.bind({ user: 7, request: 'r1' }, () => call(client));
      call(client);
      client.flush();
      const [inside, outside] = sender.messages;
      assert.deepEqual([inside.fields.user, inside.fields.request], [7, 'r1']);
      assert.ok(!('user' in outside.fields));
      const { user, request, ...own } = inside.fields;
      assert.deepEqual(Object.keys(own).sort(), Object.keys(outside.fields).sort());
    });
  }

  test(`the fields of a call win, nested bindings add up, what is no object stays a misfit (${path})`, () => {
    const { client, sender } = make();
    const given = Object.freeze({ user: 9 });
    client.bind({ user: 7, request: 'r1' }, () => {
      bind({ request: 'r2', part: 1 }, () => client.metlog('a', { fields: given }));
      client.metlog('b');
      client.metlog('c', { fields: 'text' });
    });
    client.flush();
    assert.deepEqual(
      sender.messages.map(({ fields }) => fields),
      [
        { user: 9, request: 'r2', part: 1 },
        { user: 7, request: 'r1' },
        { user: 7, request: 'r1', original: { fields: 'text' } },
      ],
    );
  });

  test(`fields that cannot be read lose only themselves (${path})`, () => {
    const { client, sender } = make();
    const hostile = {
      good: 1,
      get bad() {
        throw new Error('boom');
      },
    };
    client.bind(hostile, () => client.metlog('a', { fields: hostile }));
    client.bind(new Proxy({}, { ownKeys: () => assert.fail('read') }), () => client.metlog('b'));
    client.flush();
    assert.deepEqual(
      sender.messages.map(({ fields }) => fields),
      [{ good: 1, bad: '[unreadable]' }, {}],
    );
  });
}

test('the fields follow a request through what it waits for, and no other request', async () => {
  const { client, sender } = memoryClient();
  const other = new MetlogClient(sender, 'app');
  const handle = async (request) => {
    await pause();
    await new Promise((resolve) => setImmediate(resolve));
    other.metlog('services', { fields: { seen: request } });
    return request;
  };
  const requests = ['r1', 'r2', 'r3'];
  const answers = await Promise.all(requests.map((request) => client.bind({ request }, handle, request)));
  assert.deepEqual(answers, requests);
  for (const { fields } of sender.messages) {
    assert.equal(fields.request, fields.seen);
  }
});

test('without a function the rest of a request is bound, until the binding ends', async () => {
  const { client, sender } = memoryClient();
  const request = async (user) => {
    await pause();
    const binding = client.bind({ user });
    await pause();
    client.metlog('inside');
    const inner = client.bind({ part: 1 });
    client.metlog('part');
    inner.end();
    inner.end();
    client.metlog('inside');
    binding.end();
    client.metlog('after');
  };
  await bind({ request: 'r1' }, () => Promise.all([request(7)]));
  client.metlog('outside');
  assert.deepEqual(
    sender.messages.map(({ type, fields }) => [type, fields]),
    [
      ['inside', { request: 'r1', user: 7 }],
      ['part', { request: 'r1', user: 7, part: 1 }],
      ['inside', { request: 'r1', user: 7 }],
      ['after', { request: 'r1' }],
      ['outside', {}],
    ],
  );
  if (Symbol.dispose !== undefined) {
    assert.equal(typeof bind({})[Symbol.dispose], 'function');
  }
});

test('bindings end in any order, and none comes back', () => {
  const { client, sender } = memoryClient();
  bind({ request: 'r1' }, () => {
    const [first, second, third] = [{ a: 1 }, { b: 1 }, { a: 2 }].map((fields) => client.bind(fields));
    client.metlog('all');
    third.end();
    client.metlog('without the third');
    first.end();
    client.metlog('without the first');
    second.end();
    first.end();
    client.metlog('without any');
  });
  assert.deepEqual(
    sender.messages.map(({ fields }) => fields),
    [
      { request: 'r1', a: 2, b: 1 },
      { request: 'r1', a: 1, b: 1 },
      { request: 'r1', b: 1 },
      { request: 'r1' },
    ],
  );
});

test('what a call has bound and ended is not bound for its caller', async () => {
  const { client, sender } = memoryClient();
  await bind({}, async () => {
    const inner = async () => {
      const binding = client.bind({ user: 7 });
      await pause();
      binding.end();
    };
    await inner();
    client.metlog('after');
  });
  assert.deepEqual(sender.messages[0].fields, {});
});

test('bindings that nobody ends pile up to a bound', () => {
  const { client, sender } = memoryClient();
  bind({ request: 'r1' }, () => {
    for (let index = 0; index < 100_000; index += 1) {
      client.bind({ index });
    }
    client.metlog('services');
  });
  assert.deepEqual(sender.messages[0].fields, { request: 'r1', index: 99_999 });
});

test('what is bound is what it was then', () => {
  const sender = memorySenderFactory();
  const client = new MetlogClient(sender);
  const fields = { user: 7 };
  client.bind(fields, () => {
    fields.user = 8;
    client.metlog('services');
  });
  assert.deepEqual(sender.messages[0].fields, { user: 7 });
});
