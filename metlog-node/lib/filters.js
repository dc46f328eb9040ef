// Filters: each provider gives a function that takes a message and says whether it may leave.
'use strict';

const { hasName } = require('./collection.js');
const { metlogError } = require('./errors.js');
const { onHead } = require('./heads.js');
const { plainJson, text } = require('./plain.js');

/** What `types` may be. */
const NAMES = 'a list, a set, an object or a text';

/** Drops what is less severe than `severity`. */
function severityMaxProvider(settings) {
  const severity = given(settings, 'severity', isNumeric, 'a number of 0 to 7');
  return onHead((message) => message.severity <= severity);
}

/** Drops the types named. */
function typeBlacklistProvider(settings) {
  const types = given(settings, 'types', isNames, NAMES);
  return onHead((message) => !hasName(types, message.type));
}

/** Drops every type but those named. */
function typeWhitelistProvider(settings) {
  const types = given(settings, 'types', isNames, NAMES);
  return onHead((message) => hasName(types, message.type));
}

/** Drops what is less severe than its type's own bound, `{type: {severity: n}}`; other types pass. */
function typeSeverityMaxProvider(settings) {
  const bounds = byType(settings, (bound) => isNumeric(bound?.severity), '{type: {severity: number}}');
  return onHead(({ type, severity }) => !bounds.has(type) || severity <= bounds.get(type).severity);
}

/** Lets a share of 0 to 1 of each type named pass, `{type: share}`; other types pass. */
function typeRateProvider(settings) {
  const shares = byType(settings, isNumeric, '{type: share}');
  return onHead(({ type }) => !shares.has(type) || Math.random() < shares.get(type));
}

/** A setting that fits; others are told when the filter is made, not at each message. */
function given(settings, name, fits, expected) {
  const value = settings?.[name];
  if (!fits(value)) {
    throw metlogError('config', `${name} is ${described(value)}, expected ${expected}`);
  }
  return value;
}

/** What is said of each type, given as a map or as an object. */
function byType(settings, fits, expected) {
  const isTable = (value) => isNames(value) && !Array.isArray(value) && !(value instanceof Set);
  const types = given(settings, 'types', (value) => isTable(value) && typeof value !== 'string', expected);
  const table = types instanceof Map ? types : new Map(Object.entries(types));
  for (const [type, value] of table) {
    if (!fits(value)) {
      throw metlogError('config', `types.${text(type)} is ${described(value)}, expected ${expected}`);
    }
  }
  return table;
}

/** True for a number, also as a text, which the original's filters compared as well. */
function isNumeric(value) {
  return (
    Number.isFinite(value) ||
    (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)))
  );
}

function isNames(value) {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}

function described(value) {
  return value === undefined ? 'missing' : plainJson(value);
}

module.exports = {
  severityMaxProvider,
  typeBlacklistProvider,
  typeWhitelistProvider,
  typeSeverityMaxProvider,
  typeRateProvider,
};
