// How late the event loop's timers are under load, with us and with pino's worker transport: each in processes of its
// own, in turns. DURATION says for how many seconds each of them runs, 60 unless given.
'use strict';

const { execFileSync } = require('node:child_process');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const { median, verdict } = require('./support.js');

/** Turns that each takes; the median of its figures counts. */
const TURNS = 5;

/** Messages of a burst, and the time between two: 20,000 a second. */
const BURST = 20;
const PAUSE_MS = 1;

const SENDERS = {
  metlog() {
    const { MetlogClient } = require('metlog');
    const { fileSenderFactory } = require('metlog/senders');
    const client = new MetlogClient(fileSenderFactory({ filePath: '/dev/null' }), 'app');
    return (fields) => client.metlog('services', { payload: 'this is the payload!', fields });
  },
  'pino worker transport'() {
    const pino = require('pino');
    const logger = pino(pino.transport({ target: 'pino/file', options: { destination: '/dev/null' } }));
    return (fields) => logger.info(fields, 'this is the payload!');
  },
};

/** One turn: prints the delays seen, in microseconds. */
function turn(name, seconds) {
  const send = SENDERS[name]();
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const end = performance.now() + seconds * 1000;
  const burst = () => {
    for (let index = 0; index < BURST; index += 1) {
      send({ userid: index, req_time: 4, path: '/1.1/bookmarks' });
    }
    if (performance.now() < end) {
      setTimeout(burst, PAUSE_MS);
    } else {
      delays.disable();
      const at = (percentile) => delays.percentile(percentile) / 1000;
      console.log(JSON.stringify({ p50: at(50), p99: at(99), p999: at(99.9), max: delays.max / 1000 }));
      process.exit();
    }
  };
  // What is compiled first is no load.
  setTimeout(burst, 500).unref();
  setTimeout(() => delays.enable(), 1000);
}

function main() {
  const seconds = Number(process.env.DURATION || 60);
  const names = Object.keys(SENDERS);
  const figures = Object.fromEntries(names.map((name) => [name, []]));
  for (let count = 0; count < TURNS; count += 1) {
    for (const name of names) {
      const output = execFileSync(process.execPath, [__filename, name, String(seconds / TURNS + 1)]);
      figures[name].push(JSON.parse(output));
    }
  }
  const of = (name, key) => median(figures[name].map((figure) => figure[key]));
  for (const name of names) {
    const shown = ['p50', 'p99', 'p999', 'max'].map((key) => `${key} ${of(name, key).toFixed(0)}`);
    console.log(`${name.padEnd(24)} ${shown.join(', ')} us`);
  }
  console.log();
  const [ours, theirs] = ['metlog', 'pino worker transport'].map((name) => of(name, 'p999'));
  verdict(ours <= theirs, `p99.9 of the delay: ${ours.toFixed(0)} us, with pino ${theirs.toFixed(0)} us`);
}

const [name, seconds] = process.argv.slice(2);
if (name === undefined) {
  main();
} else {
  turn(name, Number(seconds));
}
