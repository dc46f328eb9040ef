// What a call costs the application's thread, against floors and peers of the same run.
//
// The message: type `services`, a payload of 20 bytes, fields `{userid: 25, req_time: 4, path: "/1.1/bookmarks"}`.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { StatsD } = require('hot-shots');
const { MetlogClient, configure } = require('metlog');
const { fileSenderFactory } = require('metlog/senders');
const pino = require('pino');

const floor = require('floor.node');
const { perCall, run } = require('./support.js');

/** Calls of one burst: few enough for the hand-off to hold them, so that no call is refused. */
const BURST = 8_000;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'metlog-bench-'));
const client = new MetlogClient(fileSenderFactory({ filePath: '/dev/null' }), 'syncstorage');

const PAYLOAD = 'this is the payload!';
const fieldsOf = (index) => ({ userid: index, req_time: 4, path: '/1.1/bookmarks' });
const NAMES = Array.from({ length: 16 }, (_, index) => `sync.auth.ok.${index}`);

const counter = client.counter('sync.auth.ok');
const timer = client.aggregates.timer('sync.store');
const nothing = () => {};
const summing = configure({ aggregate: true, sender: { class: 'file', filepath: '/dev/null' } });

/** A burst of ours, and then time for the worker to catch up. */
function ours(work) {
  return () => {
    const nanos = perCall(BURST, work);
    if (!client.flush(10_000)) {
      throw new Error('the worker did not catch up');
    }
    return nanos;
  };
}

const floors = {
  'JSON.stringify(fields)': () => perCall(BURST, (index) => JSON.stringify(fieldsOf(index))),
  'raw N-API call with a text': () => perCall(BURST, () => floor.text(PAYLOAD)),
  'raw N-API call with a number': () => perCall(BURST, (index) => floor.number(index)),
  'JS Map, by name': () => perCall(BURST, (index) => addTo(counts, NAMES[index & 15])),
  'Float64Array slot': () => perCall(BURST, (index) => (slots[index & 1] += 1)),
  'two performance.now, one array write': () =>
    perCall(BURST, (index) => {
      const started = performance.now();
      slots[index & 1023] = performance.now() - started;
    }),
};

const counts = new Map();
const slots = new Float64Array(1024);

function addTo(map, name) {
  map.set(name, (map.get(name) ?? 0) + 1);
}

/** JSON lines to a file: pino's message of the same fields. */
function pinoBy(logger) {
  return () => perCall(BURST, (index) => logger.info(fieldsOf(index), PAYLOAD));
}

/** What pino's calls leave to `setImmediate` is work of this thread too: measured until its worker thread has all. */
function pinoByWorker() {
  const logger = pino(worker);
  return async () => {
    const start = floor.threadNanos();
    perCall(BURST, (index) => logger.info(fieldsOf(index), PAYLOAD));
    await new Promise((resolve) => logger.flush(resolve));
    return (floor.threadNanos() - start) / BURST;
  };
}

const worker = pino.transport({ target: 'pino/file', options: { destination: path.join(folder, 'worker') } });
const statsd = new StatsD({ port: 9, maxBufferSize: 1400, errorHandler: () => {} });

const peers = {
  'pino to a file, sync': pinoBy(pino(pino.destination({ dest: path.join(folder, 'sync'), sync: true }))),
  'pino worker transport, on this thread': pinoByWorker(),
  'hot-shots increment, buffered': () => perCall(BURST, () => statsd.increment('sync.auth.ok')),
};

const measures = {
  ...floors,
  'metlog with three fields': ours((index) =>
    client.metlog('services', { payload: PAYLOAD, fields: fieldsOf(index) }),
  ),
  'incr as a message': ours((index) => client.incr(NAMES[index & 15])),
  info: ours(() => client.info(PAYLOAD)),
  'incr by name, aggregated': ours((index) => client.aggregates.incr(NAMES[index & 15])),
  'client.incr, aggregate: true': () => perCall(BURST, (index) => summing.incr(NAMES[index & 15])),
  'incr by handle': ours(() => counter.incr()),
  'timer by handle, start and stop': ours(() => timer.start().stop()),
  'timer by handle, around a function': ours(() => timer.time(nothing)),
  ...peers,
};

async function main() {
  const medians = await run(measures);
  console.log();
  const message = 'metlog with three fields';
  medians.atMost(message, 1.6, ['JSON.stringify(fields)', 'raw N-API call with a text']);
  medians.cheaper(message, 4, 'pino to a file, sync');
  medians.cheaper(message, 4, 'pino worker transport, on this thread');
  medians.atMost('incr as a message', 2.5, ['JSON.stringify(fields)']);
  medians.atMost('incr by name, aggregated', 1.5, ['JS Map, by name']);
  medians.atMost('client.incr, aggregate: true', 1.5, ['JS Map, by name']);
  for (const way of ['start and stop', 'around a function']) {
    medians.atMost(`timer by handle, ${way}`, 1.5, ['two performance.now, one array write']);
  }
  const { refused } = client.stats();
  if (Object.keys(refused).length > 0) {
    throw new Error(`calls were refused, so their figures say nothing: ${JSON.stringify(refused)}`);
  }
  statsd.close();
  worker.end();
  fs.rmSync(folder, { recursive: true });
}

main();
