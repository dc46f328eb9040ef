// Dates as text and as numbers.
'use strict';

const { types } = require('node:util');

/** `YYYY-MM-DDTHH:MM:SSZ` of a Date, as the original wrote it: whole seconds, UTC. */
function IsoDateString(date) {
  return `${date.toISOString().slice(0, -5)}Z`;
}

/** RFC 3339 in UTC with six digits: what a message carries. */
function isoMicros(date) {
  return date.toISOString().replace('Z', '000Z');
}

/**
 * What the addon takes for a caller's timestamp: whole microseconds of a Date or of a number of milliseconds, a text as
 * it is, and nothing for anything else.
 */
function toNative(given) {
  if (typeof given === 'string') {
    return given;
  }
  const millis = types.isDate(given) ? given.getTime() : given;
  return typeof millis === 'number' && Number.isFinite(millis) ? Math.round(millis * 1000) : undefined;
}

/** The text of a caller's timestamp in a message object: a text stays as it is, what is no date becomes now. */
function toText(given) {
  if (typeof given === 'string') {
    return given;
  }
  const date = new Date(types.isDate(given) || typeof given === 'number' ? given : Date.now());
  return isoMicros(Number.isNaN(date.getTime()) ? new Date() : date);
}

module.exports = { IsoDateString, toNative, toText };
