// The methods that count, gauge and time: each call a message, or a part of a sum where the client sums.
'use strict';

const { Aggregates } = require('./aggregates.js');
const { isObject, optionOf, rateOf, sampled } = require('./call.js');
const { hasName } = require('./collection.js');
const { ClientTimer, isPlain, wholeMillis } = require('./metric.js');
const { text } = require('./plain.js');
const { giveUp, say } = require('./sending.js');
const { stateOf } = require('./state.js');
const { Sums } = require('./sums.js');

/** In `disabledTimers`: all of them. */
const EVERY_TIMER = '*';

/** Among the options of a time that an application's own `timer_send` gets: the dice have been thrown. */
const IS_SAMPLED = Symbol('metlog.isSampled');

const metrics = {
  /** Counts `options.count`, 1 unless given, in a share `options.rate` of the calls. */
  incr(name, options, sampleRate) {
    const count = optionOf(options, 'count') ?? 1;
    if (isSummed(this, options)) {
      return aggregatesOf(this).incr(name, count);
    }
    const rate = rateOf(sampleRate ?? optionOf(options, 'rate'));
    if (sampled(rate)) {
      say(this, 'counter', options, { payload: text(count), name, rate });
    }
  },

  /** Sets a gauge. */
  gauge(name, value, options) {
    if (isSummed(this, options)) {
      return aggregatesOf(this).set(name, value);
    }
    const rate = rateOf(optionOf(options, 'rate'));
    if (sampled(rate)) {
      say(this, 'gauge', options, { payload: text(value), name, rate });
    }
  },

  /** Sends a time that was measured elsewhere, in milliseconds. */
  timer_send(elapsed, name, options) {
    if (isSummed(this, options)) {
      return aggregatesOf(this).record(name, elapsed);
    }
    const rate = rateOf(optionOf(options, 'rate'));
    if (optionOf(options, IS_SAMPLED) === true || sampled(rate)) {
      say(this, 'timer', options, { payload: wholeMillis(elapsed), name, rate });
    }
  },

  /**
   * `fn` with its time sent as a timer at each call, also when it throws. For a function that gives back a promise or a
   * generator the time runs until that has come to its end. With a name alone, a timer to start and stop.
   */
  timer(fn, name, options) {
    return typeof fn === 'string' ? stopwatch(this, fn, name) : stopwatch(this, name, options).wrap(fn);
  },

  /** A counter that sums in the process and leaves once per interval. */
  counter(name) {
    return aggregatesOf(this).counter(name);
  },

  /** Counters, gauges and timers that are summed in the process, by handle and by name. */
  get aggregates() {
    return aggregatesOf(this);
  },
};

const { timer_send: timerSend } = metrics;

function aggregatesOf(client) {
  const state = stateOf(client);
  if (state.sums === undefined) {
    state.sums = new Sums();
    state.sums.moveTo(client, state.summing);
    state.aggregates = new Aggregates(state.sums);
  }
  return state.aggregates;
}

/** True when calls that say nothing but name and value are to be summed, and this one is such a call. */
function isSummed(client, options) {
  return stateOf(client).summing.aggregate && isPlain(options);
}

/** Measures `name` as the client says at each measurement: as a message, as a part of a sum, or not at all. */
function stopwatch(client, name, options) {
  const rate = () => rateOf(optionOf(options, 'rate'));
  const message = { record: (elapsed) => sendTime(client, elapsed, name, { options, rate: rate() }) };
  let sum;
  return new ClientTimer(name, () => {
    if (isDisabled(client, name)) {
      return undefined;
    }
    if (isSummed(client, options)) {
      sum ??= aggregatesOf(client).timer(name);
      return sum;
    }
    return sampled(rate()) ? message : undefined;
  });
}

/** Sends a time of which the dice were thrown; where the application has a `timer_send` of its own, that gets it. */
function sendTime(client, elapsed, name, { options, rate }) {
  if (client.timer_send === timerSend) {
    return say(client, 'timer', options, { payload: wholeMillis(elapsed), name, rate });
  }
  try {
    const given = isObject(options) ? options : undefined;
    const millis = Number.isFinite(elapsed) ? Math.round(elapsed) : elapsed;
    client.timer_send(millis, name, { ...given, [IS_SAMPLED]: true });
  } catch (error) {
    giveUp(client, 'send', error);
  }
}

function isDisabled(client, name) {
  try {
    return hasName(client.disabledTimers, name) || hasName(client.disabledTimers, EVERY_TIMER);
  } catch {
    return false;
  }
}

module.exports = { metrics };
