// Where messages go.
'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const dgram = require('node:dgram');
const test = require('node:test');
const { promisify } = require('node:util');

const { MetlogClient } = require('metlog');
const senders = require('metlog/senders');
const { NINE_KEYS, ROOT, messagesIn, run, temporaryFile, until } = require('./support.js');

const execute = promisify(execFile);

/** A UDP socket on a free port that keeps what it gets. */
async function receiver(t) {
  const socket = dgram.createSocket('udp4');
  const datagrams = [];
  socket.on('message', (datagram) => datagrams.push(datagram.toString()));
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => socket.close());
  return { port: socket.address().port, datagrams };
}

test('udp sends one JSON datagram with a newline to every destination', async (t) => {
  const [one, two] = [await receiver(t), await receiver(t)];
  const hosts = ['127.0.0.1', '127.0.0.1', '127.0.0.1'];
  const sender = senders.udpSenderFactory({ hosts, ports: [one.port, String(two.port)] });
  const client = new MetlogClient(sender, 'app');
  client.metlog('services', { fields: { userid: 25 } });
  await until(() => one.datagrams.length === 1 && two.datagrams.length === 2, 'all datagrams arrive');
  const [text] = one.datagrams;
  assert.ok(text.endsWith('}\n'));
  assert.deepEqual(Object.keys(JSON.parse(text)), NINE_KEYS);
  assert.deepEqual(new Set([...one.datagrams, ...two.datagrams]).size, 1);
});

test('udp without a host or with a bad port names what it was given', () => {
  const cases = [
    [{ hosts: 'localhost' }, 'Invalid host/port combination: [localhost] []'],
    [{ ports: [1, 2] }, 'Invalid host/port combination: [] [1,2]'],
    [{ hosts: ['a', 'b'], ports: [70000] }, 'Invalid host/port combination: [a,b] [70000]'],
    [undefined, 'Invalid host/port combination: [] []'],
  ];
  for (const [settings, message] of cases) {
    assert.throws(() => senders.udpSenderFactory(settings), { code: 'config', message });
  }
});

test('a file is appended to, and two clients may share its sender', (t) => {
  const filePath = temporaryFile(t);
  for (const logger of ['first', 'second']) {
    const sender = senders.fileSenderFactory({ filePath });
    new MetlogClient(sender, logger).incr('n');
    const client = new MetlogClient(sender, 'shared');
    client.incr('n');
    assert.deepEqual(client.close(), { sent: 2, waiting: 0, dropped: 0 });
  }
  const loggers = messagesIn(filePath).map(({ logger }) => logger);
  assert.deepEqual(loggers, ['first', 'shared', 'second', 'shared']);
});

test('stdout gets one line a message', async () => {
  const source = `
    const { MetlogClient } = require('metlog');
    const { stdoutSenderFactory } = require('metlog/senders');
    new MetlogClient(stdoutSenderFactory(), 'app').info('hello');`;
  const { stdout } = await run(source);
  assert.equal(JSON.parse(stdout).payload, 'hello');
});

test("stdout goes through the application's own `write` where there is one", (t) => {
  const client = new MetlogClient(senders.stdoutSenderFactory(), 'app');
  const written = [];
  t.mock.method(process.stdout, 'write', (text) => written.push(text));
  client.info('hello');
  client.sender.sendMessage({ type: 'own' });
  client.sendException(new Error('failed'));
  t.mock.restoreAll();
  assert.ok(written.every((text) => typeof text === 'string' && text.endsWith('}\n')));
  const types = written.map((text) => JSON.parse(text).type);
  assert.deepEqual(types, ['oldstyle', 'own', 'sentry']);
  assert.deepEqual(client.stats(), { ...client.stats(), attempted: 2, sent: 2, waiting: 0 });
});

/** Node makes a pipe one that refuses to wait, for everybody in the process, once somebody has asked for `process.stdout`. */
test('stdout loses no line and tears none where the reader of a pipe is slow', async () => {
  const source = `
    process.stdout.write('');
    const { MetlogClient } = require('metlog');
    const client = new MetlogClient(require('metlog/senders').stdoutSenderFactory(), 'app');
    for (let count = 0; count < 5000; count += 1) {
      client.metlog('services', { payload: 'a payload of some length, as most have'.repeat(4) });
    }`;
  const slow = `for await (const piece of process.stdin) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      process.stdout.write(piece);
    }`;
  const shell = '"$0" -e "$1" | "$0" --input-type=module -e "$2"';
  const options = { cwd: ROOT, maxBuffer: 1e8 };
  const { stdout } = await execute('sh', ['-c', shell, process.execPath, source, slow], options);
  const lines = stdout.split('\n').slice(0, -1);
  assert.equal(lines.length, 5000);
  assert.ok(lines.every((line) => JSON.parse(line).type === 'services'));
});

for (const delivery of ['push', 'acked']) {
  test(`without a sidecar no call of a ${delivery} sender waits, and the close tells what was given up`, () => {
    const settings = { endpoints: 'tcp://127.0.0.1:1', delivery };
    const client = new MetlogClient(senders.zmqPushSenderFactory(settings));
    const started = performance.now();
    for (let n = 0; n < 1000; n += 1) {
      client.incr('n');
    }
    assert.ok(performance.now() - started < 2000);
    assert.equal(client.flush(50), false);
    assert.deepEqual(client.close(50), { sent: 0, waiting: 0, dropped: 1000 });
    client.incr('late');
    assert.deepEqual(client.stats().refused, { closed: 1 });
  });
}

test('a delivery that is unknown, or has no link to go over, names the setting', () => {
  const wrong = [
    [{ delivery: 'safe' }, /sender\.delivery is "safe", expected "push" or "acked"/],
    [{ delivery: 'acked' }, /sender\.endpoints is missing/],
  ];
  for (const [settings, message] of wrong) {
    assert.throws(() => senders.zmqPushSenderFactory(settings), { code: 'config', message });
  }
});

test('publishing needs an address', () => {
  assert.throws(() => senders.zmqPubSenderFactory({}), { code: 'config', message: /bindstrs/ });
  const client = new MetlogClient(senders.zmqPubSenderFactory({ bindstrs: ['tcp://127.0.0.1:*'] }));
  client.incr('n');
  assert.equal(client.close().sent, 1);
});

test('waiting without blocking gives back the same', async () => {
  const client = new MetlogClient(senders.memorySenderFactory());
  client.incr('n');
  assert.equal(await client.flushAsync(), true);
  assert.deepEqual(await client.closeAsync(), { sent: 1, waiting: 0, dropped: 0 });
});

test('a sender written in JavaScript gets the message object', () => {
  const seen = [];
  const client = new MetlogClient({ sendMessage: (message) => seen.push(message) }, 'app', 3);
  const options = Object.freeze({ fields: Object.freeze({ a: 1 }) });
  client.metlog('services', options);
  client.incr('n', options);
  assert.deepEqual(Object.keys(seen[0]), NINE_KEYS);
  assert.match(seen[0].timestamp, /\.\d{6}Z$/);
  assert.deepEqual([seen[0].logger, seen[0].severity, seen[0].fields], ['app', 3, { a: 1 }]);
  assert.deepEqual([seen[1].payload, seen[1].fields], ['1', { a: 1, name: 'n', rate: 1 }]);
  assert.deepEqual([client.stats().attempted, client.stats().sent], [2, 2]);
});

test('a sender that throws or rejects never reaches the application', async () => {
  const failing = [
    {
      sendMessage: () => {
        throw new Error('broken');
      },
    },
    {
      sendMessage: async () => {
        throw new Error('broken');
      },
    },
    {},
    undefined,
    null,
  ];
  for (const sender of failing) {
    const client = new MetlogClient(sender);
    client.incr('n');
    await until(() => client.stats().refused.send === 1, 'the loss is counted');
    assert.equal(client.stats().sent, 0);
    assert.equal(client.flush(), true);
    assert.deepEqual(client.close(), { sent: 0, waiting: 0, dropped: 0 });
  }
});

test('settings that are null are none', () => {
  for (const [factory, message] of [
    ['udpSenderFactory', /Invalid host\/port combination/],
    ['zmqPubSenderFactory', /sender\.bindstrs is missing/],
    ['fileSenderFactory', /sender\.filePath is missing/],
  ]) {
    assert.throws(() => senders[factory](null), { code: 'config', message });
  }
});
