// The end of the process: what was sent just before still leaves, and nothing here keeps the process alive.
'use strict';

const { isMainThread } = require('node:worker_threads');

const native = require('./native.js');

/** How long the end of a process, and a flush or close that names no time, waits. */
const TIMEOUT_MS = 2000;

/** The first process of a container, which the kernel spares a signal that nobody listens for. */
const FIRST_PID = 1;

/** The exit code that shells give a process that SIGTERM has ended. */
const CODE_OF_SIGTERM = 143;

/** What comes before the senders end. */
const lastSteps = [];

/** Has `step` done at the end of the process or thread. A thread that is terminated runs no JavaScript any more. */
function atExit(step) {
  lastSteps.push(step);
}

/** The senders end later, when listeners that come after this one have sent what they have to say: the core sees to it. */
process.on('exit', runLastSteps);

function runLastSteps() {
  for (const step of lastSteps) {
    step();
  }
}

/**
 * From now on SIGTERM first sends what is left and then ends the process, as it would have without (and also the first
 * process of a container). An application that
 * listens for the signal itself decides when to end; what it sends until then leaves at its `process.exit`.
 */
function handleSigterm() {
  if (isMainThread && !process.listeners('SIGTERM').includes(onSigterm)) {
    process.on('SIGTERM', onSigterm);
  }
}

function onSigterm() {
  if (process.listenerCount('SIGTERM') > 1) {
    return;
  }
  if (process.pid === FIRST_PID) {
    process.exit(CODE_OF_SIGTERM);
  }
  runLastSteps();
  // A signal ends the process at once: nobody else would.
  native.closeAll(TIMEOUT_MS);
  process.removeListener('SIGTERM', onSigterm);
  process.kill(process.pid, 'SIGTERM');
}

module.exports = { TIMEOUT_MS, atExit, handleSigterm };
