// How long things take: functions, promises, generators, and what lies between a start and a stop.
'use strict';

// The global one is looked up at each use.
const { performance } = require('node:perf_hooks');
const { types } = require('node:util');

/** Records what began at `started` when the object `result` has come to its end, and gives that back. */
function ended(result, taker, started) {
  const done = () => taker.record(performance.now() - started);
  // Only a true promise: other thenables may start their work when `then` is called.
  if (types.isPromise(result)) {
    return result.finally(done);
  }
  if (!isWatchable(result) || !watch(result, done)) {
    done();
  }
  return result;
}

/** True for generators, and for what compilers make of asynchronous ones. A stream is neither: others may read it. */
function isWatchable(result) {
  try {
    const isAsync = () =>
      typeof result.next === 'function' && typeof result[Symbol.asyncIterator] === 'function';
    return types.isGeneratorObject(result) || isAsync();
  } catch {
    return false;
  }
}

/** Has the generator call `done` when it ends: by its last value, by `return`, or by an exception. False when it is frozen. */
function watch(generator, done) {
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
  return ['next', 'return', 'throw'].every((name) => {
    const step = generator[name];
    const value = typeof step === 'function' ? watchedStep(step, look, fail) : step;
    return Reflect.defineProperty(generator, name, { configurable: true, writable: true, value });
  });
}

function watchedStep(step, look, fail) {
  return function watchedCall(...args) {
    let stepped;
    try {
      stepped = step.apply(this, args);
    } catch (error) {
      return fail(error);
    }
    return types.isPromise(stepped) ? stepped.then(look, fail) : look(stepped);
  };
}

/** A measurement that goes on until it is stopped. */
class Running {
  #timer;
  #started;

  constructor(timer) {
    this.#timer = timer;
    this.#started = performance.now();
  }

  /** Ends the measurement and gives it back, in milliseconds; 0 when it has ended already. */
  stop() {
    if (this.#timer === undefined) {
      return 0;
    }
    const elapsed = performance.now() - this.#started;
    const timer = this.#timer;
    this.#timer = undefined;
    timer.record(elapsed);
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

  /** Runs `fn` and measures it, as `wrap` does. */
  time(fn) {
    return timed(this, fn, undefined, NO_ARGUMENTS);
  }

  /**
   * `fn` with each of its calls measured, also when it throws. For one that gives back a promise or a generator the time
   * runs until that has come to its end.
   */
  wrap(fn) {
    const stopwatch = this;
    return function wrapped(...args) {
      return timed(stopwatch, fn, this, args);
    };
  }
}

const NO_ARGUMENTS = [];

function timed(stopwatch, fn, receiver, args) {
  const taker = stopwatch.begin();
  if (taker === undefined) {
    return fn.apply(receiver, args);
  }
  const started = performance.now();
  let result;
  try {
    result = fn.apply(receiver, args);
  } catch (error) {
    taker.record(performance.now() - started);
    throw error;
  }
  if (typeof result === 'object' && result !== null) {
    return ended(result, taker, started);
  }
  taker.record(performance.now() - started);
  return result;
}

/** Takes what is switched off, or not in the sample. */
const SILENT = Object.freeze({ record() {} });

module.exports = { Stopwatch };
