// How long things take: functions, promises, generators, and what lies between a start and a stop.
'use strict';

// The global one is looked up at each use.
const { performance } = require('node:perf_hooks');
const { types } = require('node:util');

// As they were before anybody else has replaced them.
const { then } = Promise.prototype;
const { apply } = Reflect;

/** Records what began at `started` when the object `result` has come to its end, and gives back what stands for that. */
function ended(result, taker, started) {
  const done = once(() => taker.record(performance.now() - started));
  // Only a true promise: other thenables may start their work when `then` is called.
  if (types.isPromise(result)) {
    return settled(result, done, done);
  }
  if (!isWatchable(result) || !watch(result, done)) {
    done();
  }
  return result;
}

/**
 * Has one of the two called with what the promise comes to, and gives back what stands for it: a promise like it, so that
 * a rejection which nobody handles is still nobody's. One of a class of its own, or with methods added to it, is given back
 * itself and looked at aside; Node then takes a rejection for handled.
 */
function settled(promise, fulfilled, rejected) {
  try {
    if (!isBare(promise)) {
      apply(then, promise, [fulfilled, rejected]);
      return promise;
    }
    const passed = (value) => {
      fulfilled(value);
      return value;
    };
    return apply(then, promise, [passed, failing(rejected)]);
  } catch {
    rejected();
    return promise;
  }
}

/** True for a promise as the language makes them: another one in its place makes no difference. */
function isBare(promise) {
  return (
    Object.getPrototypeOf(promise) === Promise.prototype && Object.getOwnPropertyNames(promise).length === 0
  );
}

function failing(rejected) {
  return (error) => {
    rejected();
    throw error;
  };
}

function once(fn) {
  let isOpen = true;
  return () => {
    if (isOpen) {
      isOpen = false;
      fn();
    }
  };
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

/** Has the generator call `done` when it ends: by its last value, by `return`, or by an exception. False when it cannot. */
function watch(generator, done) {
  const look = (step) => {
    if (isLast(step)) {
      done();
    }
  };
  try {
    return ['next', 'return', 'throw'].every((name) => {
      const step = generator[name];
      const value = typeof step === 'function' ? watchedStep(step, look, done) : step;
      return Reflect.defineProperty(generator, name, { configurable: true, writable: true, value });
    });
  } catch {
    return false;
  }
}

/** What is no step is the application's to find out. */
function isLast(step) {
  try {
    return Boolean(step.done);
  } catch {
    return true;
  }
}

function watchedStep(step, look, done) {
  return function watchedCall(...args) {
    let stepped;
    try {
      stepped = apply(step, this, args);
    } catch (error) {
      done();
      throw error;
    }
    if (types.isPromise(stepped)) {
      return settled(stepped, look, done);
    }
    look(stepped);
    return stepped;
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
    return apply(fn, receiver, args);
  }
  const started = performance.now();
  let result;
  try {
    result = apply(fn, receiver, args);
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
