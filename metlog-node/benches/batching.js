// Whether gathering messages in JavaScript and crossing once for many beats a call across the boundary for each.
//
// What is gathered needs its own time, since the core reads its clock in the call (13 ns there, more in JavaScript). The
// calls go to an addon that does nothing, so what differs is the way across and nothing else. Gathering has no other
// gain than the calls it saves: the worker makes batches of what it gets, one by one or not.
'use strict';

const floor = require('floor.node');
const pack = require('./node_modules/metlog/lib/pack.js');
const { perCall, run } = require('./support.js');

const MESSAGES = 100_000;

/** How many are gathered. */
const BATCH = 100;

const PAYLOAD = 'this is the payload!';
const fieldsOf = (index) => ({ userid: index, req_time: 4, path: '/1.1/bookmarks' });

/** Writes one message as `lib/native_sender.js` does. */
function write(at, fields) {
  return pack.writeFields(pack.writeText(pack.writeName(at, 'services'), PAYLOAD), fields);
}

const measures = {
  'written, a call for each': () => perCall(MESSAGES, (index) => floor.number(write(0, fieldsOf(index)))),
  'written with its time, a call for 100': () => {
    let at = 0;
    return perCall(MESSAGES, (index) => {
      at = pack.writeNumber(write(at, fieldsOf(index)), performance.now());
      if (index % BATCH === BATCH - 1) {
        floor.number(at);
        at = 0;
      }
    });
  },
  'kept with its time, written and called for 100': () => {
    const kept = [];
    return perCall(MESSAGES, (index) => {
      kept.push({ fields: fieldsOf(index), time: performance.now() });
      if (kept.length === BATCH) {
        let at = 0;
        for (const { fields, time } of kept) {
          at = pack.writeNumber(write(at, fields), time);
        }
        floor.number(at);
        kept.length = 0;
      }
    });
  },
  'JSON, a call for each': () =>
    perCall(MESSAGES, (index) => floor.text(JSON.stringify(['services', PAYLOAD, fieldsOf(index)]))),
  'JSON with its time, a call for 100': () => {
    let lines = '';
    return perCall(MESSAGES, (index) => {
      lines += JSON.stringify(['services', PAYLOAD, fieldsOf(index), performance.now()]);
      if (index % BATCH === BATCH - 1) {
        floor.text(lines);
        lines = '';
      }
    });
  },
};

async function main() {
  const medians = await run(measures);
  console.log();
  const [chosen, ...others] = Object.keys(measures);
  for (const other of others) {
    medians.cheaper(chosen, 1, other);
  }
}

main();
