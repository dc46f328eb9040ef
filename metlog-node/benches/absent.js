// Ten million messages and nobody to take them: memory stays where it is, nothing leaks, every message is counted.
'use strict';

const fs = require('node:fs');

const { MetlogClient } = require('metlog');
const { zmqPushSenderFactory } = require('metlog/senders');
const { verdict } = require('./support.js');

const MESSAGES = 10_000_000;
const ROUNDS = 20;

/** What the hand-off may hold, 4 MiB, and as much again for what JavaScript has not collected yet. */
const MAX_GROWN_MIB = 8;

const client = new MetlogClient(zmqPushSenderFactory({ endpoints: 'tcp://127.0.0.1:1' }), 'app');
const fields = { userid: 25, req_time: 4, path: '/1.1/bookmarks' };

function round() {
  let slowest = 0;
  for (let index = 0; index < MESSAGES / ROUNDS; index += 1) {
    const start = performance.now();
    client.metlog('services', { payload: 'this is the payload!', fields });
    slowest = Math.max(slowest, performance.now() - start);
  }
  return slowest;
}

function held() {
  globalThis.gc();
  const files = fs.existsSync('/proc/self/fd') ? fs.readdirSync('/proc/self/fd').length : 0;
  return {
    mib: process.memoryUsage().rss / 2 ** 20,
    files,
    handles: process.getActiveResourcesInfo().length,
  };
}

// The first round fills the hand-off and compiles.
round();
const before = held();
const start = performance.now();
const slowest = Array.from({ length: ROUNDS - 1 }, round).sort((a, b) => a - b);
const nanos = ((performance.now() - start) * 1e6) / (MESSAGES - MESSAGES / ROUNDS);
const after = held();

const { attempted, accepted, refused, sent, waiting, dropped } = client.stats();
console.log(
  `a call that is refused: ${nanos.toFixed(0)} ns, the slowest of all ${slowest.at(-1).toFixed(2)} ms`,
);
console.log(`${JSON.stringify(before)} -> ${JSON.stringify(after)}`);
const grown = after.mib - before.mib;
verdict(grown <= MAX_GROWN_MIB, `memory grown: ${grown.toFixed(1)} MiB, bar at most ${MAX_GROWN_MIB}`);
verdict(after.files === before.files && after.handles === before.handles, 'no file and no handle more');
const sumOf = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
verdict(
  attempted === MESSAGES &&
    attempted === accepted + sumOf(refused) &&
    accepted === sent + waiting + sumOf(dropped),
  `every message counted: ${attempted} attempted, ${waiting} waiting, refused ${JSON.stringify(refused)}`,
);
