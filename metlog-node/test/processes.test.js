// Many processes and threads, and nobody to send to: each sends for itself, none is kept from its end, memory stays.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { messagesIn, run, temporaryFile } = require('./support.js');

const CLIENT = `
  const http = require('node:http');
  const { MetlogClient } = require('metlog');
  const { fileSenderFactory, zmqPushSenderFactory } = require('metlog/senders');
  const file = process.argv.at(-1);
`;

test('every worker of a cluster sends for itself, and none is kept from its end', async (t) => {
  const file = temporaryFile(t);
  const source = `${CLIENT}
    const cluster = require('node:cluster');
    const client = new MetlogClient(fileSenderFactory({ filePath: file }), 'cluster');
    const served = client.counter('served');
    if (cluster.isPrimary) {
      client.info('primary');
      for (let n = 0; n < 3; n += 1) cluster.fork();
      let [asked, answered] = [0, 0];
      const ask = () => {
        asked += 1;
        http.get({ port: process.env.PORT, agent: false }, (response) => {
          response.resume().on('end', () => {
            answered += 1;
            if (answered === 30) cluster.disconnect();
            else if (asked < 30) ask();
          });
        });
      };
      let listening = 0;
      cluster.on('listening', (worker, address) => {
        process.env.PORT = address.port;
        listening += 1;
        if (listening === 3) for (let n = 0; n < 3; n += 1) ask();
      });
    } else {
      const { wrap } = require('metlog/http');
      http.createServer(wrap((request, response) => {
        served.incr();
        response.end('ok');
      }, { client })).listen(0, '127.0.0.1');
      client.info('worker');
    }`;
  const started = performance.now();
  const { code, stderr } = await run(source, { args: [file] });
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(performance.now() - started < 15_000);
  const messages = messagesIn(file);
  const lines = messages.filter(({ type }) => type === 'oldstyle');
  assert.equal(new Set(lines.map(({ metlog_pid: pid }) => pid)).size, 4);
  const named = (name) => messages.filter(({ fields }) => fields.name === name);
  assert.equal(named('http.server.request').length, 30);
  assert.equal(
    named('served').reduce((all, { payload }) => all + Number(payload), 0),
    30,
  );
});

test('every thread sends for itself, and none is kept from its end', async (t) => {
  const file = temporaryFile(t);
  const source = `${CLIENT}
    const { Worker } = require('node:worker_threads');
    const inner = \`
      const { MetlogClient } = require('metlog');
      const { fileSenderFactory } = require('metlog/senders');
      const client = new MetlogClient(fileSenderFactory({ filePath: process.argv.at(-1) }), 'thread');
      client.counter('summed').incr(5);
      for (let n = 0; n < 100; n += 1) client.incr('n');
      client.bind({ bound: 1 });
      client.info('last');
      \`;
    for (let n = 0; n < 8; n += 1) new Worker(inner, { eval: true, argv: [file] });`;
  const { code, stderr } = await run(source, { args: [file] });
  assert.deepEqual([code, stderr], [0, '']);
  const messages = messagesIn(file);
  const count = (name) => messages.filter(({ fields }) => fields.name === name).length;
  assert.deepEqual([count('n'), count('summed')], [800, 8]);
  assert.equal(messages.filter(({ fields }) => fields.bound === 1).length, 8);
});

test('all that a client can have keeps no process alive', async (t) => {
  const file = temporaryFile(t);
  const source = `${CLIENT}
    const metlog = require('metlog');
    const client = metlog.configure({ sender: { class: 'file', filepath: file }, aggregate: true });
    metlog.captureUncaught(client);
    client.handleSigterm();
    require('metlog/diagnostics').subscribe();
    metlog.counter('counted').incr();
    metlog.gauge('level').set(1);
    metlog.timer('timed').start();
    client.bind({ bound: 1 });
    client.flushAsync().then(() => client.incr('after a flush'));
    setImmediate(() => client.info('last'));`;
  const started = performance.now();
  const { code, stderr } = await run(source, { args: [file] });
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(performance.now() - started < 10_000);
  const messages = messagesIn(file);
  const names = messages.map(({ fields, payload }) => fields.name ?? payload).sort();
  assert.deepEqual(names, ['after a flush', 'counted', 'last', 'level'].sort());
});

test('300,000 messages and no sidecar: memory stays, nothing leaks, all are counted', async () => {
  const source = `${CLIENT}
    const client = new MetlogClient(zmqPushSenderFactory({ endpoints: 'tcp://127.0.0.1:1' }), 'app');
    const round = () => {
      for (let n = 0; n < 150_000; n += 1) client.metlog('a', { fields: { n, path: '/1.1/bookmarks' } });
      globalThis.gc();
      return [process.memoryUsage().rss, process.getActiveResourcesInfo().length];
    };
    const [before, after] = [round(), round()];
    const { attempted, accepted, refused, sent, waiting, dropped } = client.stats();
    const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);
    console.log(JSON.stringify({
      grown: after[0] - before[0],
      handles: after[1] - before[1],
      attempted,
      refused: refused.full,
      balance: attempted - accepted - sum(refused) + accepted - sent - waiting - sum(dropped),
    }));
    process.reallyExit(0);`;
  const { stdout } = await run(`require('node:v8').setFlagsFromString('--expose-gc');
    globalThis.gc = require('node:vm').runInNewContext('gc');${source}`);
  const { grown, handles, attempted, refused, balance } = JSON.parse(stdout);
  assert.deepEqual([handles, attempted, balance], [0, 300_000, 0]);
  assert.ok(refused > 100_000, `${refused}`);
  assert.ok(grown < 8 << 20, `${grown}`);
});
