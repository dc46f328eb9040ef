// Encoders: a message object as what a stream takes.
'use strict';

const native = require('./native.js');
const { plainJson, usualJson } = require('./plain.js');

/** What no sender takes in one piece is cut short. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The message as JSON: one line, with its end. */
function jsonEncoder(message) {
  return `${jsonOf(message)}\n`;
}

function jsonOf(message) {
  try {
    return usualJson(message, MAX_BYTES) ?? plainJson(message);
  } catch {
    return plainJson(message);
  }
}

/** The message as MessagePack. */
function msgpackEncoder(message) {
  try {
    return native.msgpack(jsonOf(message));
  } catch {
    // What JSON.stringify lets through and UTF-8 does not hold: unpaired surrogates.
    return native.msgpack(plainJson(message));
  }
}

module.exports = { jsonEncoder, msgpackEncoder };
