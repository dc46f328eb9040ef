// Values as MessagePack, written into memory that the addon reads where it lies: no copy and no string crosses.
//
// A function takes the place where it writes and gives back the place behind, or CANNOT for what is left to JSON: a
// value with a `toJSON`, of a class, nested deep, cyclic, a BigInt. What lies beyond the end of the memory is not
// written, as with any typed array: whoever asks compares the place it gets with SIZE.
'use strict';

const { types } = require('node:util');

const { apply } = Reflect;
const { toJSON: dateToJson } = Date.prototype;

const NO_ARGUMENTS = [];

/** Longer messages go as JSON. */
const SIZE = 64 * 1024;

/** A place that no message reaches: whatever is added to it stays one. */
const CANNOT = Number.MAX_SAFE_INTEGER - 2 ** 32;

/** Values nested deeper go as JSON, which knows cycles. */
const MAX_DEPTH = 8;

/** The longest text whose length fits its head; up to it a loop is faster than a call of Node's. */
const SHORT = 31;

/** The longest logger or hostname that a message may name; longer ones go as JSON. */
const LONGEST_NAME = 255;

const WORD = 2 ** 32;

// Within a `for in` V8 knows its answer; that of `Object.hasOwn` is asked for.
const isOwn = Object.prototype.hasOwnProperty;

// Memory of its own, not a part of Node's pool.
const memory = Buffer.allocUnsafeSlow(SIZE);
const view = new DataView(memory.buffer);

/**
 * What the addon has to know of a message (`src/written.rs`): severity; where type, logger, hostname, payload and fields
 * end; how many fields there are; the process; the upper and lower half of the time.
 */
const head = new Uint32Array(memory.buffer, 0, 10);

/** In `head`: where the process stands, and the two halves of the time. */
const [PID, TIME_HIGH, TIME_LOW] = [7, 8, 9];

/** The process and the time of messages that name none. */
const NO_PID = 0;
const NO_TIME = WORD - 1;

/** Where the type begins. */
const START = head.byteLength;

/** The bytes of a short ASCII text without a head; CANNOT for any other. */
function writeName(at, value) {
  return value.length > SHORT ? CANNOT : writeAscii(at, value);
}

function writeAscii(at, value) {
  const { length } = value;
  for (let index = 0; index < length; index += 1) {
    const code = value.charCodeAt(index);
    if (code > 0x7f) {
      return CANNOT;
    }
    memory[at + index] = code;
  }
  return at + length;
}

/** A text; unpaired surrogates become U+FFFD. */
function writeText(at, value) {
  const end = writeName(at + 1, value);
  if (end === CANNOT) {
    return writeLongText(at, value);
  }
  memory[at] = 0xa0 | value.length;
  return end;
}

function writeLongText(at, value) {
  // A UTF-16 unit makes three bytes at most.
  if (at + 5 + value.length * 3 > SIZE) {
    return CANNOT;
  }
  const length = memory.write(value, at + 3);
  view.setUint8(at, 0xda);
  view.setUint16(at + 1, length);
  return at + 3 + length;
}

function writeNumber(at, value) {
  if ((value | 0) !== value) {
    return writeWideNumber(at, value);
  }
  if (value >= -32 && value < 0x80) {
    memory[at] = value;
    return at + 1;
  }
  return writeHead(at, 0xd2, value);
}

/** A head and the 32 bits behind it. */
function writeHead(at, head, bits) {
  memory[at] = head;
  memory[at + 1] = bits >> 24;
  memory[at + 2] = bits >> 16;
  memory[at + 3] = bits >> 8;
  memory[at + 4] = bits;
  return at + 5;
}

function writeWideNumber(at, value) {
  if (!Number.isFinite(value)) {
    return writeNil(at);
  }
  if (at + 9 > SIZE) {
    return CANNOT;
  }
  if (Number.isInteger(value) && value < WORD * WORD && value >= -WORD * (WORD / 2)) {
    const high = Math.floor(value / WORD);
    view.setUint8(at, value < 0 ? 0xd3 : 0xcf);
    view.setInt32(at + 1, high);
    view.setUint32(at + 5, value - high * WORD);
  } else {
    view.setUint8(at, 0xcb);
    view.setFloat64(at + 1, value);
  }
  return at + 9;
}

function writeNil(at) {
  memory[at] = 0xc0;
  return at + 1;
}

/** Any value; those that JSON leaves out of an object are null here. */
function writeValue(at, value, depth) {
  switch (typeof value) {
    case 'string':
      return writeText(at, value);
    case 'number':
      return writeNumber(at, value);
    case 'boolean':
      memory[at] = value ? 0xc3 : 0xc2;
      return at + 1;
    case 'object':
      return value === null ? writeNil(at) : writeNested(at, value, depth);
    case 'bigint':
      return CANNOT;
    default:
      return writeNil(at);
  }
}

function writeNested(at, value, depth) {
  if (depth === MAX_DEPTH || value.toJSON !== undefined) {
    return value.toJSON === dateToJson && types.isDate(value) ? writeDate(at, value) : CANNOT;
  }
  return Array.isArray(value) ? writeList(at, value, depth + 1) : writeMap(at, value, depth + 1);
}

/** A date as JSON has it: its text, and null for one that is none. */
function writeDate(at, date) {
  const text = apply(dateToJson, date, NO_ARGUMENTS);
  return text === null ? writeNil(at) : writeText(at, text);
}

function writeList(at, values, depth) {
  const { length } = values;
  let next = writeHead(at, 0xdd, length);
  for (let index = 0; index < length && next <= SIZE; index += 1) {
    next = writeValue(next, values[index], depth);
  }
  return next;
}

function writeMap(at, object, depth) {
  const end = writePairs(at + 5, object, depth);
  writeHead(at, 0xdf, lastCount);
  return end;
}

/** How many pairs the last `writePairs` has written. */
let lastCount = 0;

/** The names and values of a plain object, one after another. */
function writePairs(at, object, depth) {
  const prototype = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    return CANNOT;
  }
  let next = at;
  let count = 0;
  for (const name in object) {
    const value = object[name];
    if (isWritten(value) && isOwn.call(object, name)) {
      next = writeValue(writeText(next, name), value, depth);
      count += 1;
      if (next > SIZE) {
        return CANNOT;
      }
    }
  }
  lastCount = count;
  return next;
}

/** The fields of a message. */
function writeFields(at, fields) {
  return typeof fields === 'object' && fields.toJSON === undefined ? writePairs(at, fields, 0) : CANNOT;
}

/** Says that a message is of the sender's own logger, process and host, and of now. */
function ownIdentity(at) {
  head[2] = at;
  head[3] = at;
  head[PID] = NO_PID;
  head[TIME_HIGH] = NO_TIME;
}

/** The identity that a message names itself: logger, host, process and time in microseconds, each undefined for the sender's own. */
function writeIdentity(at, { logger, hostname, pid, micros }) {
  if (!isProcess(pid) || !isTime(micros)) {
    return CANNOT;
  }
  const loggerEnd = writeOwnName(at, logger);
  const hostnameEnd = writeOwnName(loggerEnd, hostname);
  head[2] = loggerEnd;
  head[3] = hostnameEnd;
  head[PID] = pid ?? NO_PID;
  head[TIME_HIGH] = micros === undefined ? NO_TIME : micros / WORD;
  head[TIME_LOW] = micros;
  return hostnameEnd;
}

/** A logger or hostname; no byte stands for the sender's own, so the empty text goes as JSON. */
function writeOwnName(at, name) {
  if (name === undefined) {
    return at;
  }
  const fits = typeof name === 'string' && name !== '' && name.length <= LONGEST_NAME;
  return fits ? writeAscii(at, name) : CANNOT;
}

function isProcess(pid) {
  return pid === undefined || (Number.isInteger(pid) && pid > NO_PID && pid < WORD);
}

function isTime(micros) {
  return micros === undefined || (Number.isSafeInteger(micros) && micros >= 0);
}

/** What makes a message a metric: `name` and `rate`, two more fields. */
function writeMetric(at, name, rate) {
  if (typeof name !== 'string') {
    return CANNOT;
  }
  return writeNumber(writeText(writeText(writeText(at, 'name'), name), 'rate'), rate);
}

/** False for what JSON leaves out of an object. */
function isWritten(value) {
  const type = typeof value;
  return type !== 'undefined' && type !== 'function' && type !== 'symbol';
}

/** How many pairs `writePairs` has just written. */
function countOfPairs() {
  return lastCount;
}

module.exports = {
  SIZE,
  START,
  head,
  countOfPairs,
  memory,
  ownIdentity,
  writeFields,
  writeIdentity,
  writeMetric,
  writeName,
  writeNumber,
  writeText,
};
