// For tests of applications: what they send, as a list.
'use strict';

const { types } = require('node:util');

const captured = require('./captured.js');
const { handOverAll } = require('./sums.js');

/**
 * Keeps what every client of this thread sends from now on instead of sending it. Filters decide as ever. With `fn`,
 * gives back the messages sent inside, a promise of them where `fn` gives back one; without, a capture to be stopped.
 */
function captureLogs(fn) {
  const capture = new Capture();
  if (fn === undefined) {
    return capture;
  }
  let result;
  try {
    result = fn();
  } catch (error) {
    capture.stop();
    throw error;
  }
  return types.isPromise(result) ? settled(capture, result) : capture.stop();
}

async function settled(capture, promise) {
  try {
    await promise;
  } finally {
    capture.stop();
  }
  return capture.messages;
}

class Capture {
  #messages = [];
  #isOpen = true;

  constructor() {
    handOverAll();
    captured.begin(this.#messages);
  }

  /** What was sent so far. */
  get messages() {
    if (this.#isOpen) {
      handOverAll();
    }
    return this.#messages;
  }

  /** From now on messages are sent as before; gives back those that were captured. */
  stop() {
    const { messages } = this;
    this.#isOpen = false;
    captured.end(messages);
    return messages;
  }
}

if (Symbol.dispose !== undefined) {
  Capture.prototype[Symbol.dispose] = Capture.prototype.stop;
}

module.exports = { captureLogs };
