// Counters, gauges and timers by name, as far as they need no client.
'use strict';

const { Stopwatch } = require('./measure.js');
const { text } = require('./plain.js');

/** A timer of a client by name. */
class ClientTimer extends Stopwatch {
  #begin;

  constructor(name, begin) {
    super();
    this.name = name;
    this.#begin = begin;
  }

  /** What takes one measurement: the dice are thrown when it begins. */
  begin() {
    return this.#begin();
  }

  /** Sends a time that was measured elsewhere, in milliseconds. */
  record(millis) {
    this.#begin()?.record(millis);
  }
}

/** True for options that name nothing but a metric's count and rate. */
function isPlain(options) {
  try {
    return options === undefined || options === null || Object.keys(options).every(isOfMetric);
  } catch {
    return false;
  }
}

function isOfMetric(option) {
  return option === 'count' || option === 'rate';
}

/** Milliseconds as the whole number a timer carries; what is no number stays as it is. */
function wholeMillis(elapsed) {
  return text(Number.isFinite(elapsed) ? Math.round(elapsed) : elapsed);
}

module.exports = { ClientTimer, isPlain, wholeMillis };
