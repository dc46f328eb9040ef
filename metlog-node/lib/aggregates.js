// Counters, gauges and timers that are summed in the process and leave once per interval, by handle and by name.
'use strict';

const { Stopwatch } = require('./measure.js');
const { NO_SLOT } = require('./sums.js');

class Counter {
  #sums;
  #slot;
  #calls;

  constructor(sums, name, { slot, calls }) {
    this.name = name;
    this.#sums = sums;
    this.#slot = slot;
    this.#calls = calls;
  }

  /** Counts `count`, 1 unless given. What is no finite number is left out. */
  incr(count = 1) {
    const sums = this.#sums;
    sums.values[this.#slot] += Number.isFinite(count) ? count : numberOf(count, 0);
    if (this.#calls !== NO_SLOT) {
      sums.values[this.#calls] += 1;
    }
  }
}

class Gauge {
  #sums;
  #slot;
  #calls;

  constructor(sums, name, { slot, calls }) {
    this.name = name;
    this.#sums = sums;
    this.#slot = slot;
    this.#calls = calls;
  }

  /** Sets the value. What is no finite number is left out. */
  set(value) {
    const sums = this.#sums;
    sums.values[this.#slot] = numberOf(value, sums.values[this.#slot]);
    this.#call();
  }

  /** Adds to the value, which is 0 at first. */
  add(change) {
    this.#sums.adjust(this.#slot, numberOf(change, 0));
    this.#call();
  }

  #call() {
    if (this.#calls !== NO_SLOT) {
      this.#sums.values[this.#calls] += 1;
    }
  }
}

class Timer extends Stopwatch {
  #sums;
  #slot;
  #calls;

  constructor(sums, name, { slot, calls }) {
    super();
    this.name = name;
    this.#sums = sums;
    this.#slot = slot;
    this.#calls = calls;
  }

  /** Adds a time in milliseconds. One that is negative or no finite number is left out. */
  record(millis) {
    const sums = this.#sums;
    sums.sample(this.#slot, typeof millis === 'number' ? millis : numberOf(millis, Number.NaN));
    if (this.#calls !== NO_SLOT) {
      sums.values[this.#calls] += 1;
    }
  }
}

/** The aggregates behind each handle: for as long as there is one, their sums go on. */
const owners = new WeakMap();

/** The sums of a client. */
class Aggregates {
  #sums;

  constructor(sums) {
    this.#sums = sums;
    sums.ownedBy(this);
  }

  /** The counter `name`: keep it where it is used often. */
  counter(name) {
    return this.#own(new Counter(this.#sums, name, this.#sums.place('counter', name)));
  }

  gauge(name) {
    return this.#own(new Gauge(this.#sums, name, this.#sums.place('gauge', name)));
  }

  timer(name) {
    return this.#own(new Timer(this.#sums, name, this.#sums.place('timer', name)));
  }

  #own(handle) {
    owners.set(handle, this);
    return handle;
  }

  /** Counts `count` under `name`. */
  incr(name, count = 1) {
    const sums = this.#sums;
    // The slot first: `values` may be another array afterwards.
    const slot = sums.slotOf('counter', name);
    sums.values[slot] += Number.isFinite(count) ? count : numberOf(count, 0);
  }

  /** Sets the gauge `name`. */
  set(name, value) {
    const sums = this.#sums;
    const slot = sums.slotOf('gauge', name);
    sums.values[slot] = numberOf(value, sums.values[slot]);
  }

  /** Adds a time in milliseconds to the timer `name`. */
  record(name, millis) {
    this.#sums.sample(this.#sums.slotOf('timer', name), numberOf(millis, Number.NaN));
  }
}

/**
 * A finite number as it is, or as a text says it; another value is `otherwise`. No code of the application runs: it could
 * add to what is being added to.
 */
function numberOf(value, otherwise) {
  const isNumeric =
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    (typeof value === 'string' && value.trim() !== '');
  const number = isNumeric ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : otherwise;
}

module.exports = { Aggregates };
