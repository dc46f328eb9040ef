// A sender of the core, and the short way to it: what a call says crosses into the addon without a message object.
'use strict';

const native = require('./native.js');
const { callOfMessage, isObject } = require('./call.js');
const pack = require('./pack.js');
const { TIMEOUT_MS } = require('./life.js');
const { TOO_BIG, plainJson, text, usualJson } = require('./plain.js');
const { SEVERITY, isSeverity } = require('./severity.js');
const { toNative } = require('./timestamp.js');

const { SIZE, START, countOfPairs, head, ownIdentity } = pack;
const { writeFields, writeIdentity, writeMetric, writeName, writeText } = pack;

/** True while a call is being written into the memory of `pack.js`. */
let writing = false;

/** A sender of the core: one queue, one socket or file and one thread, whatever the number of clients that share it. */
class NativeSender {
  #handle;
  /** The logger of messages that name none; unknown until a client has named the sender. */
  #logger;
  /** Takes what lies written in the memory of `pack.js`. */
  #takeWritten;

  constructor(handle) {
    this.#handle = handle;
  }

  /** Tells the sender which client uses it; the first one gives it its name in reports. */
  open(logger) {
    if (this.#logger === undefined) {
      this.#logger = text(logger);
      native.open(this.#handle, this.#logger);
      this.#takeWritten = native.taker(this.#handle, pack.memory);
    }
  }

  /** False where message objects are to be given to `sendMessage`, which is then no way into the core. */
  get takesCalls() {
    return true;
  }

  /** Takes a message object of nine keys. */
  sendMessage(message) {
    this.take(callOfMessage(message));
  }

  /** Takes a call. Never throws: what cannot be converted even as text is refused and counted. */
  take(call) {
    if (!this.#takeUsual(call) && !this.#takeAny(call, usualJson) && !this.#takeAny(call, plainJson)) {
      this.refuse('encode');
    }
  }

  /** Takes the report of an exception with what the call says beside. Never throws. */
  takeException(call, report) {
    if (!this.#takeReport(call, report, usualJson) && !this.#takeReport(call, report, plainJson)) {
      this.refuse('encode');
    }
  }

  /**
   * Takes a call whose values all fit: nearly every call. A call made while a field is being read, by a getter, must not
   * write into the same memory.
   */
  #takeUsual(call) {
    const usual =
      typeof call.type === 'string' && typeof call.payload === 'string' && isSeverity(call.severity);
    if (!usual || writing) {
      return false;
    }
    writing = true;
    try {
      return this.#write(call);
    } catch {
      return false;
    } finally {
      writing = false;
    }
  }

  #write(call) {
    const { type, severity, payload, fields, name, rate } = call;
    const kindEnd = writeName(START, type);
    const payloadEnd = writeText(this.#writeIdentity(kindEnd, call), payload);
    let end = payloadEnd;
    let count = 0;
    if (fields !== undefined) {
      end = writeFields(end, fields);
      count = countOfPairs();
    }
    if (name !== undefined) {
      end = writeMetric(end, name, rate);
      count += 2;
    }
    if (end > SIZE) {
      return false;
    }
    head[0] = severity;
    head[1] = kindEnd;
    head[4] = payloadEnd;
    head[5] = end;
    head[6] = count;
    this.#takeWritten();
    return true;
  }

  /** Who says it and when, where that is not the sender itself and now. */
  #writeIdentity(at, { logger, timestamp, pid, hostname }) {
    const isOwnLogger = logger === this.#logger;
    if (isOwnLogger && timestamp === undefined && pid === undefined && hostname === undefined) {
      ownIdentity(at);
      return at;
    }
    const own = isOwnLogger ? undefined : (logger ?? NONE);
    const micros = timestamp === undefined ? undefined : (toNative(timestamp) ?? NONE);
    return writeIdentity(at, { logger: own, hostname, pid, micros });
  }

  /** Takes any call; its values are written by `json`. False when they could not be. */
  #takeAny(call, json) {
    try {
      const severity = isSeverity(call.severity) ? call.severity : SEVERITY.INFORMATIONAL;
      const payload = typeof call.payload === 'string' ? call.payload : '';
      return native.metlogWith(this.#handle, text(call.type), severity, payload, this.#extras(call, json));
    } catch (error) {
      return this.#isTooBig(error);
    }
  }

  #takeReport(call, report, json) {
    try {
      const severity = isSeverity(call.severity) ? call.severity : SEVERITY.ERROR;
      return native.sendException(this.#handle, severity, report, this.#extras(call, json));
    } catch (error) {
      return this.#isTooBig(error);
    }
  }

  /** True, with the message refused, where that is what `error` says. */
  #isTooBig(error) {
    if (error === TOO_BIG) {
      this.refuse('too_big');
    }
    return error === TOO_BIG;
  }

  /** What a call says beyond the usual; the logger only where it is not that of the sender's own messages. */
  #extras(call, json) {
    const extras = extrasOf(call, json);
    extras.logger = extras.logger === this.#logger ? undefined : extras.logger;
    return extras;
  }

  /** Counts a message that was not even tried, by the core's reasons. */
  refuse(reason) {
    native.refuse(this.#handle, reason);
  }

  stats() {
    return native.stats(this.#handle);
  }

  /** The addon's side of a client's sums. */
  sums() {
    return native.sumsOf(this.#handle);
  }

  flush(timeoutMs) {
    return native.flush(this.#handle, millisOf(timeoutMs));
  }

  flushAsync(timeoutMs) {
    return native.flushAsync(this.#handle, millisOf(timeoutMs));
  }

  close(timeoutMs) {
    return native.close(this.#handle, millisOf(timeoutMs));
  }

  closeAsync(timeoutMs) {
    return native.closeAsync(this.#handle, millisOf(timeoutMs));
  }

  /** As `close`, and nobody waits for it. */
  closeApart() {
    native.closeApart(this.#handle, TIMEOUT_MS);
  }
}

/** A time to wait, in whole milliseconds that the addon can hold; what is none is the usual one. */
function millisOf(timeoutMs) {
  return Number.isFinite(timeoutMs) ? Math.min(Math.max(Math.ceil(timeoutMs), 0), MAX_MS) : TIMEOUT_MS;
}

/** A sender that keeps its messages, for tests of applications. */
class MemorySender extends NativeSender {
  #handle;

  constructor(handle) {
    super(handle);
    this.#handle = handle;
  }

  /** The messages so far, in order; waits until those already sent have arrived. */
  get messages() {
    this.flush(FLUSH_MS);
    return native.captured(this.#handle).map((json) => JSON.parse(json));
  }
}

/** What fits nowhere: a logger or time that was given and is none. */
const NONE = null;

/** 24 days, the longest that Node's own timers take. */
const MAX_MS = 2 ** 31 - 1;

/** How long a memory sender is waited for; it never takes that long. */
const FLUSH_MS = 5000;

/** What a call says beyond type, severity and payload; values that do not fit go under `fields.original`. */
function extrasOf(call, json) {
  const misfits = {};
  const fitting = (name, value, fits) => {
    if (fits || value === undefined) {
      return value;
    }
    misfits[name] = value;
    return undefined;
  };
  fitting('severity', call.severity, isSeverity(call.severity));
  const timestamp = toNative(call.timestamp);
  fitting('timestamp', call.timestamp, timestamp !== undefined);
  const extras = {
    logger: fitting('logger', call.logger, typeof call.logger === 'string'),
    timestamp,
    payload: typeof call.payload === 'string' ? undefined : (json(call.payload) ?? plainJson(call.payload)),
    fields: fieldsOf(call.fields, json),
    pid: fitting('metlog_pid', call.pid, Number.isSafeInteger(call.pid)),
    hostname: fitting('metlog_hostname', call.hostname, typeof call.hostname === 'string'),
    name: call.name === undefined ? undefined : text(call.name),
    rate: call.rate,
  };
  fitting('fields', call.fields ?? undefined, extras.fields !== undefined);
  extras.original = Object.keys(misfits).length > 0 ? json(misfits) : undefined;
  return extras;
}

/** The fields as a JSON object; nothing when there are none or when they are no object. */
function fieldsOf(fields, json) {
  if (fields === undefined || fields === null || !isObject(fields)) {
    return undefined;
  }
  const written = json(fields);
  return written?.startsWith('{') ? written : undefined;
}

module.exports = { MemorySender, NativeSender };
