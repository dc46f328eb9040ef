// The client: what an application calls. No call throws, waits or does I/O; what cannot be sent is counted.
'use strict';

const { sum } = require('./books.js');
const { HOSTNAME, PID } = require('./call.js');
const { bind } = require('./context.js');
const { metlogError } = require('./errors.js');
const { reportOf, sentryOf } = require('./exception.js');
const { levels } = require('./levels.js');
const { TIMEOUT_MS, handleSigterm } = require('./life.js');
const { metrics } = require('./metrics.js');
const { NativeSender } = require('./native_sender.js');
const { cefOf } = require('./security.js');
const { giveUp, isDirect, metlog, send } = require('./sending.js');
const { SEVERITY } = require('./severity.js');
const { stateOf, use } = require('./state.js');
const { handOverOf } = require('./sums.js');

/** Methods of the original client: a plugin takes their names only where it says so. Ours beyond them it may take. */
const ORIGINAL_METHODS = new Set([
  ...['constructor', 'setup', 'metlog', 'incr', 'timer', 'timer_send', 'addMethod'],
  ...['debug', 'info', 'warn', 'error', 'exception', 'critical'],
]);

/** A function, which ES5 can inherit from: `MetlogClient.call(this, sender)`. */
function MetlogClient(sender, logger, severity, disabledTimers, filters) {
  this.setup(sender, logger, severity, disabledTimers, filters);
}

const methods = {
  /** Sets all five again. */
  setup(sender, logger = '', severity = SEVERITY.INFORMATIONAL, disabledTimers = [], filters = []) {
    const { sums, summing } = stateOf(this);
    sums?.handOver();
    this.sender = sender;
    this.logger = logger;
    this.severity = severity;
    this.disabledTimers = disabledTimers;
    this.filters = filters ?? [];
    this.pid ??= PID;
    this.hostname ??= HOSTNAME;
    /** Methods of plugins by name. */
    this._dynamicMethods ??= {};
    if (sender instanceof NativeSender) {
      sender.open(logger);
      use(this, sender);
    }
    sums?.moveTo(this, summing);
  },

  metlog,

  /**
   * Adds `fields` to every message of every client that is sent by `fn` and by what it starts; without `fn`, for the rest
   * of the request under way, or until the binding that is given back ends.
   */
  bind(fields, fn, ...args) {
    return bind(fields, fn, ...args);
  },

  /** Sends an exception with its stack, its causes and its properties as a `sentry` message. */
  sendException(error, options) {
    try {
      const made = reportOf(error, options, this);
      if (isDirect(this)) {
        send(this, 'sentry', made.columns, undefined, made.report);
      } else {
        this.metlog('sentry', sentryOf(made));
      }
    } catch (failure) {
      giveUp(this, 'encode', failure);
    }
  },

  /** Sends a security event as a `cef` message; gives back its line, or '' when that could not be made. */
  cef(name, severity, request, config, options) {
    try {
      const made = cefOf({ name, severity, request, config }, options);
      this.metlog('cef', made);
      return made.payload;
    } catch (failure) {
      giveUp(this, 'encode', failure);
      return '';
    }
  },

  /** Adds a method of a plugin; `override` says that it may take the name of another. */
  addMethod(name, method, override = false) {
    if (typeof method !== 'function') {
      throw metlogError('config', '`method` argument must be a function');
    }
    if (!override && (ORIGINAL_METHODS.has(name) || Object.hasOwn(this, name) || name in Object.prototype)) {
      throw metlogError('config', `The name ${name} is already in use`);
    }
    // Not by assignment: `aggregates` has no setter.
    const property = { value: method, configurable: true, enumerable: true, writable: true };
    Object.defineProperty(this, name, property);
    Object.defineProperty(this._dynamicMethods, name, property);
  },

  /** The books of this client and of its sender, which other clients may share. */
  stats() {
    const own = stateOf(this).books.stats();
    return this.sender instanceof NativeSender ? sum(this.sender.stats(), own) : own;
  },

  /** Waits, blocking this thread, until what was sent has left; true when it has. */
  flush(timeoutMs = TIMEOUT_MS) {
    handOverOf(this, stateOf(this).sums);
    return this.sender instanceof NativeSender ? this.sender.flush(timeoutMs) : true;
  },

  /** As `flush`, without blocking. */
  async flushAsync(timeoutMs = TIMEOUT_MS) {
    handOverOf(this, stateOf(this).sums);
    return this.sender instanceof NativeSender ? this.sender.flushAsync(timeoutMs) : true;
  },

  /** Sends what is left and ends the sender, blocking this thread; later calls are refused and counted. */
  close(timeoutMs = TIMEOUT_MS) {
    handOverOf(this, stateOf(this).sums);
    stateOf(this).sums?.close();
    return this.sender instanceof NativeSender ? this.sender.close(timeoutMs) : report(this);
  },

  /** As `close`, without blocking. */
  async closeAsync(timeoutMs = TIMEOUT_MS) {
    handOverOf(this, stateOf(this).sums);
    stateOf(this).sums?.close();
    return this.sender instanceof NativeSender ? this.sender.closeAsync(timeoutMs) : report(this);
  },

  /** From now on SIGTERM sends what is left before it ends the process. */
  handleSigterm() {
    handleSigterm();
  },
};

function report(client) {
  return { sent: stateOf(client).books.stats().sent, waiting: 0, dropped: 0 };
}

for (const part of [methods, metrics, levels]) {
  Object.defineProperties(MetlogClient.prototype, Object.getOwnPropertyDescriptors(part));
}

module.exports = { MetlogClient };
