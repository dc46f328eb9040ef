// Filters that look at type and severity only, so that no message object has to be made for them.
'use strict';

const onHeads = new WeakSet();

/** Marks a filter as one of them. */
function onHead(filter) {
  onHeads.add(filter);
  return filter;
}

function isOnHead(filter) {
  return onHeads.has(filter);
}

module.exports = { isOnHead, onHead };
