// What goes wrong in an integration never reaches the application: it is counted and said, seldom.
'use strict';

const native = require('../native.js');
const { text } = require('../plain.js');

let count = 0;

/** How often an integration has failed in this thread. */
function errors() {
  return count;
}

/** `fn`, giving back undefined instead of throwing. */
function guarded(fn) {
  return function safe(...args) {
    try {
      return fn.apply(this, args);
    } catch (error) {
      count += 1;
      native.warn('integration', `an integration failed, the application goes on: ${text(error)}`);
      return undefined;
    }
  };
}

module.exports = { errors, guarded };
