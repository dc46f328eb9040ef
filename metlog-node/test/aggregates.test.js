// Sums: counters, gauges and timers that leave once per interval.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { Worker } = require('node:worker_threads');

const metlog = require('metlog');
const { memorySenderFactory } = require('metlog/senders');
const { memoryClient, messagesIn, run, temporaryFile, until } = require('./support.js');

/** Type, name and payload of messages, by name. */
function sums(messages) {
  const seen = messages.map(({ type, fields, payload }) => [type, fields.name, payload]);
  const key = ([type, name]) => `${name} ${type}`;
  return seen.sort((one, other) => Number(key(one) > key(other)) - Number(key(one) < key(other)));
}

/** A client that goes on elsewhere: a sender of the core, or one written in JavaScript. */
const SENDERS = {
  core: () => memoryClient(),
  javascript: () => {
    const messages = [];
    return {
      client: new metlog.MetlogClient({ sendMessage: (message) => messages.push(message) }, 'app'),
      sender: { messages },
    };
  },
};

for (const [kind, make] of Object.entries(SENDERS)) {
  test(`sums leave as one message a name at a flush (${kind})`, () => {
    const { client, sender } = make();
    const counter = client.counter('requests');
    counter.incr();
    counter.incr(2);
    client.counter('requests').incr(4n);
    client.aggregates.incr('bytes', 0.5);
    const gauge = client.aggregates.gauge('depth');
    gauge.set(7);
    gauge.add(-2);
    client.aggregates.set('level', 3);
    client.aggregates.timer('query').record(5);
    client.aggregates.record('query', 15);
    assert.deepEqual(sender.messages, []);
    client.flush();
    assert.deepEqual(sums(sender.messages), [
      ['counter', 'bytes', '0.5'],
      ['gauge', 'depth', '5.0'],
      ['gauge', 'level', '3.0'],
      ['timer_sketch', 'query', ''],
      ['counter', 'requests', '7'],
    ]);
    const { fields, severity, logger } = sender.messages.find(({ type }) => type === 'timer_sketch');
    assert.deepEqual([fields.count, fields.sum, fields.min, fields.max], [2, 20, 5, 15]);
    assert.deepEqual([severity, logger], [6, 'app']);
    counter.incr();
    client.flush();
    assert.deepEqual(sums(sender.messages.slice(5)), [['counter', 'requests', '1']]);
  });

  test(`a gauge goes on from what has left (${kind})`, () => {
    const { client, sender } = make();
    const gauge = client.aggregates.gauge('depth');
    gauge.add(2);
    client.flush();
    gauge.add(3);
    client.close();
    assert.deepEqual(sums(sender.messages), [
      ['gauge', 'depth', '2.0'],
      ['gauge', 'depth', '5.0'],
    ]);
  });

  test(`what is no finite number is left out, and nothing is thrown (${kind})`, () => {
    const { client, sender } = make();
    const unreadable = { valueOf: () => assert.fail('read') };
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 'seven', Symbol('s'), unreadable, {}]) {
      client.counter('n').incr(value);
      client.aggregates.incr('n', value);
      client.aggregates.gauge('g').set(value);
      client.aggregates.gauge('g').add(value);
      client.aggregates.timer('t').record(value);
    }
    client.counter(Symbol('name')).incr();
    client.flush();
    const names = sums(sender.messages).filter(([type]) => type === 'counter');
    assert.deepEqual(names, [['counter', 'Symbol(name)', '1']]);
  });

  test(`numbers are taken as text too, and what is none leaves a gauge as it is (${kind})`, () => {
    const { client, sender } = make();
    const [counter, gauge] = [client.counter('n'), client.aggregates.gauge('g')];
    counter.incr(5);
    gauge.set('3');
    const flushing = {
      valueOf() {
        client.flush();
        return 1;
      },
    };
    for (const value of [null, '', ' ', true, [], [7], new Date(0), Object(7), flushing]) {
      counter.incr(value);
      client.aggregates.incr('n', value);
      gauge.set(value);
      gauge.add(value);
      client.aggregates.set('g', value);
      client.aggregates.record('t', value);
    }
    counter.incr('2');
    client.flush();
    assert.deepEqual(sums(sender.messages), [
      ['gauge', 'g', '3.0'],
      ['counter', 'n', '7'],
    ]);
  });

  test(`a name of more than 1,024 bytes shares the overflow (${kind})`, () => {
    const { client, sender } = make();
    const long = 'é'.repeat(513);
    client.counter(long).incr(2);
    client.aggregates.incr(long, 3);
    client.counter(long.slice(1)).incr();
    client.flush();
    assert.deepEqual(sums(sender.messages), [
      ['counter', 'metlog.overflow', '5'],
      ['counter', 'metlog.overflow.calls', '2'],
      ['counter', long.slice(1), '1'],
    ]);
  });

  test(`a flush and a close of one client hand over what others of its sender have summed (${kind})`, () => {
    for (const end of ['flush', 'close']) {
      const { client, sender } = make();
      const other = new metlog.MetlogClient(client.sender, 'other');
      other.counter('n').incr(3);
      client[end]();
      assert.deepEqual(sums(sender.messages), [['counter', 'n', '3']], end);
    }
  });

  test(`a gauge goes on from where it was when another sender is set up (${kind})`, () => {
    const { client } = make();
    const [gauge, still] = ['in_flight', 'still'].map((name) => client.aggregates.gauge(name));
    gauge.add(1);
    client.flush();
    gauge.add(1);
    still.set(4);
    for (const change of [-1, 3]) {
      const next = make();
      client.setup(next.client.sender, 'next');
      gauge.add(change);
      client.flush();
      const value = change === -1 ? '1.0' : '4.0';
      assert.deepEqual(sums(next.sender.messages), [['gauge', 'in_flight', value]]);
    }
    const last = make();
    client.setup(last.client.sender, 'last');
    still.add(1);
    gauge.set(9);
    client.flush();
    gauge.add(1);
    client.flush();
    assert.deepEqual(sums(last.sender.messages), [
      ['gauge', 'in_flight', '9.0'],
      ['gauge', 'in_flight', '10.0'],
      ['gauge', 'still', '5.0'],
    ]);
  });

  test(`more names and measurements than the arrays hold at first are kept (${kind})`, () => {
    const { client, sender } = make();
    const counters = Array.from({ length: 300 }, (_, index) => client.counter(`n${index}`));
    for (const counter of counters) {
      counter.incr(2);
    }
    const timer = client.aggregates.timer('t');
    for (let n = 0; n < 5000; n += 1) {
      timer.record(1);
    }
    client.flush();
    assert.equal(sender.messages.length, 301);
    assert.ok(sender.messages.every(({ type, payload }) => type !== 'counter' || payload === '2'));
    assert.equal(sender.messages.find(({ type }) => type === 'timer_sketch').fields.count, 5000);
  });
}

test('a sender written in JavaScript gets sums after a close too', () => {
  const { client, sender } = SENDERS.javascript();
  client.counter('n').incr();
  client.close();
  client.counter('n').incr(2);
  client.close();
  assert.deepEqual(sums(sender.messages), [
    ['counter', 'n', '1'],
    ['counter', 'n', '2'],
  ]);
});

test('what was summed before another sender is set up goes to the one before', () => {
  const { client, sender } = memoryClient();
  const counter = client.counter('n');
  counter.incr(1);
  const seen = [];
  client.setup({ sendMessage: (message) => seen.push(message) }, 'js');
  counter.incr(2);
  const last = memorySenderFactory();
  client.setup(last, 'last');
  counter.incr(3);
  client.flush();
  sender.flush(2000);
  assert.deepEqual(
    [sums(sender.messages), sums(seen), sums(last.messages)],
    [[['counter', 'n', '1']], [['counter', 'n', '2']], [['counter', 'n', '3']]],
  );
});

test('filters see no sums, and bound fields are not added to them', () => {
  const seen = [];
  const sender = { sendMessage: (message) => seen.push(message) };
  const client = new metlog.MetlogClient(sender, 'app', 6, [], [() => false]);
  client.bind({ user: 7 }, () => {
    client.counter('n').incr();
    client.flush();
  });
  assert.deepEqual(
    seen.map(({ fields }) => fields),
    [{ name: 'n', rate: 1 }],
  );
});

test('a client that aggregates sums calls by name that say nothing more', (t) => {
  const file = temporaryFile(t);
  const client = metlog.configure({ aggregate: true, sender: { class: 'file', filepath: file } });
  client.setup(client.sender, 'app', 6, ['off']);
  client.incr('n');
  client.incr('n', { count: 4, rate: 0.0 });
  client.incr('n', { fields: { user: 7 } });
  client.gauge('g', 3);
  client.timer_send(5, 't');
  client.timer(() => {}, 't')();
  client.timer('t').start().stop();
  client.timer(() => {}, 'off')();
  client.close();
  const seen = messagesIn(file).filter(({ type }) => type !== 'timer_sketch');
  assert.deepEqual(sums(seen), [
    ['gauge', 'g', '3.0'],
    ['counter', 'n', '1'],
    ['counter', 'n', '5'],
  ]);
  const [sketch, ...more] = messagesIn(file).filter(({ type }) => type === 'timer_sketch');
  assert.deepEqual([sketch.fields.name, sketch.fields.count, more], ['t', 3, []]);
});

for (const kind of ['core', 'javascript']) {
  test(`sums leave by themselves once per interval (${kind})`, async (t) => {
    const file = temporaryFile(t);
    const messages = [];
    const sender =
      kind === 'core'
        ? { class: 'file', filepath: file }
        : { sendMessage: (message) => messages.push(message) };
    const client = metlog.configure({ aggregateInterval: '50ms', sender });
    const counter = client.counter(`left.${kind}`);
    const seen = () => (kind === 'core' ? messagesIn(file) : messages);
    counter.incr(2);
    await until(() => seen().length === 1, 'the first sum leaves');
    counter.incr(3);
    await until(() => seen().length === 2, 'the second sum leaves');
    assert.deepEqual(
      seen().map(({ payload }) => payload),
      ['2', '3'],
    );
    client.close();
  });
}

const COUNT = `
  const metlog = require('metlog');
  const { writeSync, openSync } = require('node:fs');
  const file = require('node:worker_threads').workerData?.file ?? process.argv[1];
  const own = () => {
    const descriptor = openSync(file, 'a');
    return { sendMessage: (message) => writeSync(descriptor, JSON.stringify(message) + '\\n') };
  };
  const client = metlog.configure({ sender: SENDER });
  const requests = metlog.counter('requests');
  const query = metlog.timer('query');
  for (let n = 0; n < 100; n += 1) { requests.incr(); query.record(2); }
  metlog.gauge('depth').set(4);
`;

const PLACES = { core: "{ class: 'file', filepath: file }", javascript: 'own()' };

const ENDS = {
  'its natural end': '',
  'process.exit': 'process.exit(0);',
  'an exception that nobody catches': "throw new Error('boom');",
  SIGTERM: "client.handleSigterm(); setInterval(() => {}, 1000); process.kill(process.pid, 'SIGTERM');",
};

for (const [place, sender] of Object.entries(PLACES)) {
  for (const [end, source] of Object.entries(ENDS)) {
    test(`sums leave at ${end} of the process (${place})`, async (t) => {
      const file = temporaryFile(t);
      await run(COUNT.replace('SENDER', sender) + source, { args: [file] });
      const messages = messagesIn(file);
      assert.deepEqual(sums(messages), [
        ['gauge', 'depth', '4.0'],
        ['timer_sketch', 'query', ''],
        ['counter', 'requests', '100'],
      ]);
      assert.equal(messages.find(({ type }) => type === 'timer_sketch').fields.count, 100);
    });
  }
}

for (const [place, sender] of Object.entries(PLACES)) {
  test(`names beyond the bound share the overflow (${place})`, async (t) => {
    const file = temporaryFile(t);
    const source = `
      ${COUNT.replace('SENDER', `${sender}, maxNames: 2, aggregate: true`)}
      client.incr('requests', { count: 5 });
      const beyond = client.counter('beyond');
      beyond.incr(5);
      client.incr('four');
      client.incr('four');
      client.timer_send(1, 'five');`;
    await run(source, { args: [file] });
    const messages = messagesIn(file);
    assert.deepEqual(sums(messages), [
      ['counter', 'metlog.overflow', '7'],
      ['gauge', 'metlog.overflow', '4.0'],
      ['timer_sketch', 'metlog.overflow', ''],
      ['counter', 'metlog.overflow.calls', '5'],
      ['timer_sketch', 'query', ''],
      ['counter', 'requests', '105'],
    ]);
  });
}

for (const end of ['end', 'terminate']) {
  test(`sums of worker threads leave at their ${end}`, async (t) => {
    const file = temporaryFile(t);
    const stay =
      "require('node:worker_threads').parentPort.postMessage('ready'); setInterval(() => {}, 1000);";
    const source = COUNT.replace('SENDER', PLACES.core) + (end === 'terminate' ? stay : '');
    const threads = [1, 2].map(() => new Worker(source, { eval: true, workerData: { file } }));
    await Promise.all(
      threads.map(async (thread) => {
        const exit = new Promise((resolve) => thread.once('exit', resolve));
        if (end === 'terminate') {
          await new Promise((resolve) => thread.once('message', resolve));
          await thread.terminate();
        }
        await exit;
      }),
    );
    await until(() => messagesIn(file).length === 6, 'the sums of both arrive');
    const counts = messagesIn(file).filter(({ fields }) => fields.name === 'requests');
    assert.deepEqual(
      counts.map(({ payload }) => payload),
      ['100', '100'],
    );
  });
}

test('handles of the default client may be made before it is configured', async (t) => {
  const file = temporaryFile(t);
  const source = `
    const metlog = require('metlog');
    const requests = metlog.counter('requests');
    const depth = metlog.gauge('depth');
    const query = metlog.timer('query');
    metlog.configure({ sender: { class: 'file', filepath: process.argv[1] } });
    requests.incr(); depth.set(1); depth.add(1); query.time(() => {});`;
  const { stderr } = await run(source, { args: [file] });
  assert.equal(stderr, '');
  assert.deepEqual(sums(messagesIn(file)), [
    ['gauge', 'depth', '2.0'],
    ['timer_sketch', 'query', ''],
    ['counter', 'requests', '1'],
  ]);
});

for (const [kind, made] of Object.entries({
  core: 'memorySenderFactory()',
  javascript: '{ sendMessage({ payload }) { sent += Number(payload); } }',
})) {
  test(`clients that come and go leave nothing behind, and lose nothing (${kind})`, async () => {
    const source = `
      const metlog = require('metlog');
      const { memorySenderFactory } = require('metlog/senders');
      const { tune } = require('./lib/state.js');
      const gone = new FinalizationRegistry(() => { collected += 1; });
      let [collected, sent] = [0, 0];
      const kept = [];
      for (let n = 0; n < 50; n += 1) {
        const client = new metlog.MetlogClient(null, 'app');
        tune(client, { aggregate: false, aggregateIntervalMs: 100, maxNames: 10 });
        client.setup(${made}, 'app');
        client.counter('n').incr();
        if (n >= 40) kept.push(client.counter('n'));
        gone.register(client);
      }
      const deadline = Date.now() + 10000;
      const look = () => {
        gc();
        if (collected < 35 && Date.now() < deadline) return setTimeout(look, 10);
        for (const counter of kept) counter.incr();
        setTimeout(() => console.log(collected >= 35, sent), 400);
      };
      setTimeout(look, 300);`;
    const { stdout } = await run(source, { node: ['--expose-gc'] });
    assert.equal(stdout.trim(), kind === 'core' ? 'true 0' : 'true 60');
  });
}
