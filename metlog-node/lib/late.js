// Handles of the default client that may be made before there is one: they find it at their first use.
'use strict';

const { boundLate } = require('./configure.js');
const { Stopwatch } = require('./measure.js');

class LateCounter {
  #counter;

  constructor(name) {
    this.name = name;
  }

  incr(count) {
    this.#counter ??= boundLate().aggregates.counter(this.name);
    this.#counter.incr(count);
  }
}

class LateGauge {
  #gauge;

  constructor(name) {
    this.name = name;
  }

  set(value) {
    this.#found().set(value);
  }

  add(change) {
    this.#found().add(change);
  }

  #found() {
    this.#gauge ??= boundLate().aggregates.gauge(this.name);
    return this.#gauge;
  }
}

class LateTimer extends Stopwatch {
  #timer;

  constructor(name) {
    super();
    this.name = name;
  }

  record(millis) {
    this.#timer ??= boundLate().aggregates.timer(this.name);
    this.#timer.record(millis);
  }
}

/** A counter of the default client. */
function counter(name) {
  return new LateCounter(name);
}

/** A gauge of the default client. */
function gauge(name) {
  return new LateGauge(name);
}

/** A timer of the default client. */
function timer(name) {
  return new LateTimer(name);
}

module.exports = { counter, gauge, timer };
