// The client: what an application calls. No call throws, waits or does I/O; what cannot be sent is counted.
'use strict';

const { types } = require('node:util');

const native = require('./native.js');
const { Aggregates } = require('./aggregates.js');
const { Books, sum } = require('./books.js');
const captured = require('./captured.js');
const { callOf, messageOf, optionOf, rateOf, sampled } = require('./call.js');
const { hasName } = require('./collection.js');
const { bind, withBound } = require('./context.js');
const { metlogError } = require('./errors.js');
const { reportOf, sentryOf } = require('./exception.js');
const { READS_HEAD_ONLY } = require('./filters.js');
const { TIMEOUT_MS, handleSigterm } = require('./life.js');
const { ClientTimer, isPlain, wholeMillis } = require('./metric.js');
const { NativeSender } = require('./native_sender.js');
const { text } = require('./plain.js');
const { cefOf } = require('./security.js');
const { SEVERITY } = require('./severity.js');
const { Sums } = require('./sums.js');

/** In `disabledTimers`: all of them. */
const EVERY_TIMER = '*';

/** Methods of the original client: a plugin takes their names only where it says so. Ours beyond them it may take. */
const ORIGINAL_METHODS = new Set([
  ...['constructor', 'setup', 'metlog', 'incr', 'timer', 'timer_send', 'addMethod'],
  ...['debug', 'info', 'warn', 'error', 'exception', 'critical'],
]);

/** How a client sums unless it is told otherwise: as the core does. */
const SUMMING = Object.freeze({ aggregate: false, aggregateIntervalMs: 10_000, maxNames: 10_000 });

/** Sets how a client sums. */
let tune;

class MetlogClient {
  #books = new Books();
  #summing = SUMMING;
  /** Made when something is summed. */
  #sums;
  #aggregates;
  /** Methods of plugins by name. */
  _dynamicMethods = {};

  static {
    tune = (client, summing) => {
      client.#summing = summing;
    };
  }

  constructor(sender, logger, severity, disabledTimers, filters) {
    this.setup(sender, logger, severity, disabledTimers, filters);
  }

  /** Sets all five again. */
  setup(sender, logger = '', severity = SEVERITY.INFORMATIONAL, disabledTimers = [], filters = []) {
    this.#sums?.handOver();
    this.sender = sender;
    this.logger = logger;
    this.severity = severity;
    this.disabledTimers = disabledTimers;
    this.filters = filters ?? [];
    if (sender instanceof NativeSender) {
      sender.open(logger);
    }
    this.#sums?.moveTo(sender, this.#summing);
  }

  /** Sends a message of any type. */
  metlog(type, options) {
    this.#send(type, options);
  }

  /** Counts `options.count`, 1 unless given, in a share `options.rate` of the calls. */
  incr(name, options, sampleRate) {
    const count = optionOf(options, 'count') ?? 1;
    if (this.#sumsUp(options)) {
      return this.aggregates.incr(name, count);
    }
    const rate = rateOf(sampleRate ?? optionOf(options, 'rate'));
    this.#metric('counter', text(count), { name, rate }, options);
  }

  /** Sets a gauge. */
  gauge(name, value, options) {
    if (this.#sumsUp(options)) {
      return this.aggregates.set(name, value);
    }
    const rate = rateOf(optionOf(options, 'rate'));
    this.#metric('gauge', text(value), { name, rate }, options);
  }

  /** Sends a time that was measured elsewhere, in milliseconds. */
  timer_send(elapsed, name, options) {
    if (this.#sumsUp(options)) {
      return this.aggregates.record(name, elapsed);
    }
    const rate = rateOf(optionOf(options, 'rate'));
    this.#metric('timer', wholeMillis(elapsed), { name, rate }, options);
  }

  /**
   * `fn` with its time sent as a timer at each call, also when it throws. For a function that gives back a promise or a
   * generator the time runs until that has come to its end. With a name alone, a timer to start and stop.
   */
  timer(fn, name, options) {
    return typeof fn === 'string' ? this.#stopwatch(fn, name) : this.#stopwatch(name, options).wrap(fn);
  }

  /** A counter that sums in the process and leaves once per interval. */
  counter(name) {
    return this.aggregates.counter(name);
  }

  /** Counters, gauges and timers that are summed in the process, by handle and by name. */
  get aggregates() {
    if (this.#sums === undefined) {
      this.#sums = new Sums(
        (type, payload, fields) => this.#sendSum(type, payload, fields),
        (type, value, name) =>
          messageOf(callOf(this, type, undefined, { payload: text(value), name, rate: 1 })),
      );
      this.#sums.moveTo(this.sender, this.#summing);
      this.#aggregates = new Aggregates(this.#sums);
    }
    return this.#aggregates;
  }

  /**
   * Adds `fields` to every message of every client that is sent by `fn` and by what it starts; without `fn`, for the rest
   * of the request under way, or until the binding that is given back ends.
   */
  bind(fields, fn, ...args) {
    return bind(fields, fn, ...args);
  }

  debug(message, options) {
    this.#log(SEVERITY.DEBUG, message, options);
  }

  info(message, options) {
    this.#log(SEVERITY.INFORMATIONAL, message, options);
  }

  notice(message, options) {
    this.#log(SEVERITY.NOTICE, message, options);
  }

  warn(message, options) {
    this.#log(SEVERITY.WARNING, message, options);
  }

  warning(message, options) {
    this.#log(SEVERITY.WARNING, message, options);
  }

  error(message, options) {
    this.#log(SEVERITY.ERROR, message, options);
  }

  critical(message, options) {
    this.#log(SEVERITY.CRITICAL, message, options);
  }

  alert(message, options) {
    this.#log(SEVERITY.ALERT, message, options);
  }

  /** As the originals did, at the severity of an alert. */
  exception(message, options) {
    this.#log(SEVERITY.ALERT, message, options);
  }

  emergency(message, options) {
    this.#log(SEVERITY.EMERGENCY, message, options);
  }

  /** Sends an exception with its stack, its causes and its properties as a `sentry` message. */
  sendException(error, options) {
    try {
      const made = reportOf(error, options, this);
      if (this.#isDirect()) {
        this.#send('sentry', made.columns, undefined, made.report);
      } else {
        this.metlog('sentry', sentryOf(made));
      }
    } catch (failure) {
      this.#giveUp('encode', failure);
    }
  }

  /** Sends a security event as a `cef` message; gives back its line, or '' when that could not be made. */
  cef(name, severity, request, config, options) {
    try {
      const made = cefOf({ name, severity, request, config }, options);
      this.metlog('cef', made);
      return made.payload;
    } catch (failure) {
      this.#giveUp('encode', failure);
      return '';
    }
  }

  /** Adds a method of a plugin; `override` says that it may take the name of another. */
  addMethod(name, method, override = false) {
    if (typeof method !== 'function') {
      throw metlogError('config', '`method` argument must be a function');
    }
    if (!override && (ORIGINAL_METHODS.has(name) || Object.hasOwn(this, name) || name in Object.prototype)) {
      throw metlogError('config', `The name ${name} is already in use`);
    }
    this._dynamicMethods[name] = method;
    this[name] = method;
  }

  /** The books of this client and of its sender, which other clients may share. */
  stats() {
    const own = this.#books.stats();
    return this.sender instanceof NativeSender ? sum(this.sender.stats(), own) : own;
  }

  /** Waits, blocking this thread, until what was sent has left; true when it has. */
  flush(timeoutMs = TIMEOUT_MS) {
    this.#sums?.handOver();
    return this.sender instanceof NativeSender ? this.sender.flush(timeoutMs) : true;
  }

  /** As `flush`, without blocking. */
  async flushAsync(timeoutMs = TIMEOUT_MS) {
    this.#sums?.handOver();
    return this.sender instanceof NativeSender ? this.sender.flushAsync(timeoutMs) : true;
  }

  /** Sends what is left and ends the sender, blocking this thread; later calls are refused and counted. */
  close(timeoutMs = TIMEOUT_MS) {
    this.#sums?.close();
    return this.sender instanceof NativeSender ? this.sender.close(timeoutMs) : this.#report();
  }

  /** As `close`, without blocking. */
  async closeAsync(timeoutMs = TIMEOUT_MS) {
    this.#sums?.close();
    return this.sender instanceof NativeSender ? this.sender.closeAsync(timeoutMs) : this.#report();
  }

  /** From now on SIGTERM sends what is left before it ends the process. */
  handleSigterm() {
    handleSigterm();
  }

  #report() {
    return { sent: this.#books.stats().sent, waiting: 0, dropped: 0 };
  }

  #log(severity, message, options) {
    this.#send('oldstyle', options, { severity, payload: text(message) });
  }

  /** True when nothing written in JavaScript has to see messages on their way. */
  #isDirect() {
    const readsHeadOnly = (filter) => filter[READS_HEAD_ONLY];
    return (
      this.sender instanceof NativeSender &&
      this.metlog === metlog &&
      this.filters.every(readsHeadOnly) &&
      !captured.isCapturing()
    );
  }

  #metric(type, payload, { name, rate }, options) {
    if (sampled(rate)) {
      this.#send(type, options, { payload, name, rate });
    }
  }

  /** True when calls that say nothing but name and value are to be summed, and this one is such a call. */
  #sumsUp(options) {
    return this.#summing.aggregate && isPlain(options);
  }

  /** Measures `name` as the client says at each measurement: as a message, as a part of a sum, or not at all. */
  #stopwatch(name, options) {
    const rate = () => rateOf(optionOf(options, 'rate'));
    const message = {
      record: (elapsed) =>
        this.#send('timer', options, { payload: wholeMillis(elapsed), name, rate: rate() }),
    };
    let sum;
    return new ClientTimer(name, () => {
      if (this.#isDisabled(name)) {
        return undefined;
      }
      if (this.#sumsUp(options)) {
        sum ??= this.aggregates.timer(name);
        return sum;
      }
      return sampled(rate()) ? message : undefined;
    });
  }

  #isDisabled(name) {
    try {
      return hasName(this.disabledTimers, name) || hasName(this.disabledTimers, EVERY_TIMER);
    } catch {
      return false;
    }
  }

  /** Sends a message, or an exception's `report` with it. */
  #send(type, options, own, report) {
    let reason = 'encode';
    try {
      const call = callOf(this, type, options, own);
      call.fields = withBound(call.fields);
      reason = 'filter_error';
      const message = this.#filtered(call);
      if (message === null) {
        return this.#refuse('filtered');
      }
      reason = 'send';
      if (captured.isCapturing()) {
        return captured.capture(message ?? messageOf(call));
      }
      if (!(this.sender instanceof NativeSender) || message !== undefined) {
        this.#sendMessage(message ?? messageOf(call));
      } else if (report === undefined) {
        this.sender.take(call);
      } else {
        this.sender.takeException(call, report);
      }
    } catch (error) {
      this.#giveUp(reason, error);
    }
  }

  #giveUp(reason, error) {
    this.#refuse(reason);
    native.warn(reason, `a message was refused (${reason}): ${text(error)}`);
  }

  /** Null when a filter says no; else the message object, if a filter needed one (it may have changed it). */
  #filtered(call) {
    let message;
    for (const filter of this.filters) {
      if (!filter[READS_HEAD_ONLY]) {
        message ??= messageOf(call);
      }
      if (!filter(message ?? call)) {
        return null;
      }
    }
    return message;
  }

  /** Sends a sum to a sender written in JavaScript. Filters see no sums, as on their way through the core. */
  #sendSum(type, payload, fields) {
    try {
      this.#sendMessage(messageOf(callOf(this, type, { payload, fields })));
    } catch (error) {
      this.#giveUp('send', error);
    }
  }

  /** The path of senders written in JavaScript. */
  #sendMessage(message) {
    const { sender } = this;
    if (sender === undefined || sender === null) {
      throw new Error('the client has no sender');
    }
    const sending = sender.sendMessage(message);
    if (sender instanceof NativeSender) {
      return;
    }
    this.#books.send();
    if (types.isPromise(sending)) {
      sending.catch((error) => {
        this.#books.unsend('send');
        native.warn('send', `a message was given up: ${text(error)}`);
      });
    }
  }

  #refuse(reason) {
    const books = this.sender instanceof NativeSender ? this.sender : this.#books;
    books.refuse(reason);
  }
}

const { metlog } = MetlogClient.prototype;

module.exports = { MetlogClient, tune };
