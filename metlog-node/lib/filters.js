// Filters: each provider gives a function that takes a message and says whether it may leave.
'use strict';

const { hasName } = require('./collection.js');

/** Marks filters that look at type and severity only, so that no message object has to be made for them. */
const READS_HEAD_ONLY = Symbol('metlog.readsHeadOnly');

function onHead(filter) {
  filter[READS_HEAD_ONLY] = true;
  return filter;
}

/** Drops what is less severe than `severity`. */
function severityMaxProvider({ severity }) {
  return onHead((message) => message.severity <= severity);
}

/** Drops the types named. */
function typeBlacklistProvider({ types }) {
  return onHead((message) => !hasName(types, message.type));
}

/** Drops every type but those named. */
function typeWhitelistProvider({ types }) {
  return onHead((message) => hasName(types, message.type));
}

/** Drops what is less severe than its type's own bound, `{type: {severity: n}}`; other types pass. */
function typeSeverityMaxProvider({ types }) {
  return onHead(
    (message) => !hasName(types, message.type) || message.severity <= types[message.type].severity,
  );
}

/** Lets a share of 0 to 1 of each type named pass, `{type: share}`; other types pass. */
function typeRateProvider({ types }) {
  return onHead((message) => !hasName(types, message.type) || Math.random() < types[message.type]);
}

module.exports = {
  READS_HEAD_ONLY,
  severityMaxProvider,
  typeBlacklistProvider,
  typeWhitelistProvider,
  typeSeverityMaxProvider,
  typeRateProvider,
};
