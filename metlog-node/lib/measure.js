// How long things take: functions, promises, generators, and what lies between a start and a stop.
'use strict';

const { types } = require('node:util');

/** Runs `fn` and, when it has come to its end, whatever that was, `done`. */
function measured(fn, done) {
  let result;
  try {
    result = fn();
  } catch (error) {
    done();
    throw error;
  }
  // Only a true promise: other thenables may start their work when `then` is called.
  if (types.isPromise(result)) {
    return result.finally(done);
  }
  if (types.isGeneratorObject(result)) {
    return watched(result, done);
  }
  done();
  return result;
}

/** The generator itself, which calls `done` when it ends: by its last value, by `return`, or by an exception. */
function watched(generator, done) {
  let isOpen = true;
  const end = () => {
    if (isOpen) {
      isOpen = false;
      done();
    }
  };
  const look = (step) => {
    if (step.done) {
      end();
    }
    return step;
  };
  const fail = (error) => {
    end();
    throw error;
  };
  for (const name of ['next', 'return', 'throw']) {
    const original = generator[name];
    Object.defineProperty(generator, name, { configurable: true, writable: true, value: stepOf(original) });
  }
  function stepOf(original) {
    return function step(...args) {
      let stepped;
      try {
        stepped = original.apply(this, args);
      } catch (error) {
        fail(error);
      }
      return types.isPromise(stepped) ? stepped.then(look, fail) : look(stepped);
    };
  }
  return generator;
}

/** A measurement that goes on until it is stopped. */
class Running {
  #timer;
  #started = performance.now();

  constructor(timer) {
    this.#timer = timer;
  }

  /** Ends the measurement and gives it back, in milliseconds; 0 when it has ended already. */
  stop() {
    if (this.#timer === undefined) {
      return 0;
    }
    const elapsed = performance.now() - this.#started;
    this.#timer.record(elapsed);
    this.#timer = undefined;
    return elapsed;
  }

  /** Forgets the measurement. */
  cancel() {
    this.#timer = undefined;
  }
}

if (Symbol.dispose !== undefined) {
  Running.prototype[Symbol.dispose] = Running.prototype.stop;
}

/** Ways to measure; a subclass says what `record(millis)` does with it. */
class Stopwatch {
  /** What takes one measurement; nothing when it is not to be taken. */
  begin() {
    return this;
  }

  /** Measures until the measurement is stopped. */
  start() {
    return new Running(this.begin() ?? SILENT);
  }

  /** Runs `fn` and measures it; gives back what it does. */
  time(fn) {
    const taker = this.begin();
    if (taker === undefined) {
      return fn();
    }
    const started = performance.now();
    return measured(fn, () => taker.record(performance.now() - started));
  }

  /** `fn` with each of its calls measured. */
  wrap(fn) {
    const stopwatch = this;
    return function timed(...args) {
      return stopwatch.time(() => fn.apply(this, args));
    };
  }
}

/** Takes what is switched off, or not in the sample. */
const SILENT = Object.freeze({ record() {} });

module.exports = { Stopwatch, measured };
