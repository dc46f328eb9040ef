// Filters that look at type and severity only, so that no message object has to be made for them.
'use strict';

const READS_HEAD_ONLY = Symbol('metlog.readsHeadOnly');

/** Marks a filter as one of them. */
function onHead(filter) {
  filter[READS_HEAD_ONLY] = true;
  return filter;
}

function isOnHead(filter) {
  return filter[READS_HEAD_ONLY] === true;
}

module.exports = { isOnHead, onHead };
