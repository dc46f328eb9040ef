// For tests of applications: what they send, as a list.
'use strict';

const { types } = require('node:util');

const { getClient } = require('./configure.js');
const { memorySenderFactory } = require('./senders.js');

/**
 * Keeps what a client sends from now on instead of sending it, the default client unless told. With `fn`, gives back the
 * messages sent inside, a promise of them where `fn` gives back one; without, a capture to be stopped.
 */
function captureLogs(...given) {
  const [client, fn] = typeof given[0] === 'function' ? [undefined, given[0]] : given;
  const capture = new Capture(client ?? getClient());
  return fn === undefined ? capture : captured(capture, fn);
}

function captured(capture, fn) {
  let result;
  try {
    result = fn();
  } catch (error) {
    capture.stop();
    throw error;
  }
  return types.isPromise(result)
    ? result.then(
        () => capture.stop(),
        (error) => {
          capture.stop();
          throw error;
        },
      )
    : capture.stop();
}

class Capture {
  #client;
  #before;
  #memory = memorySenderFactory();
  #last;

  constructor(client) {
    this.#client = client;
    this.#before = client.sender;
    this.#replace(this.#memory);
  }

  /** What was sent so far, sums included. */
  get messages() {
    if (this.#last !== undefined) {
      return this.#last;
    }
    this.#client.flush();
    return this.#memory.messages;
  }

  /** From now on the client sends as before; gives back what was sent. */
  stop() {
    if (this.#last === undefined) {
      this.#last = this.messages;
      this.#replace(this.#before);
      this.#memory.close(0);
    }
    return this.#last;
  }

  #replace(sender) {
    const { logger, severity, disabledTimers, filters } = this.#client;
    this.#client.setup(sender, logger, severity, disabledTimers, filters);
  }
}

if (Symbol.dispose !== undefined) {
  Capture.prototype[Symbol.dispose] = Capture.prototype.stop;
}

module.exports = { captureLogs };
