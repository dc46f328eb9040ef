// What tests of applications capture instead of having it sent.
'use strict';

/** Lists of captures within each other: the last one gets the messages. */
const captures = [];

/** True while messages are captured. */
function isCapturing() {
  return captures.length > 0;
}

/** Gives a message to the innermost capture. */
function capture(message) {
  captures.at(-1).push(message);
}

/** Has `messages` get what is sent from now on. */
function begin(messages) {
  captures.push(messages);
}

function end(messages) {
  const at = captures.indexOf(messages);
  if (at >= 0) {
    captures.splice(at, 1);
  }
}

module.exports = { begin, capture, end, isCapturing };
