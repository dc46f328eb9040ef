// Node's own `http`: a server's listener, watched.
//
//     http.createServer(wrap(listener));
'use strict';

const { types } = require('node:util');

const { begin, optionsOf } = require('./exchange.js');
const { errors } = require('./guard.js');

/** `listener` with each of its requests timed, counted and bound; what it throws is sent and passed on. */
function wrap(listener, options) {
  const checked = optionsOf(options);
  return function watched(request, response) {
    const exchange = begin(checked, request, response);
    if (exchange === undefined) {
      return listener.call(this, request, response);
    }
    return exchange.run(() => passingOn(exchange, () => listener.call(this, request, response)));
  };
}

/** Runs `fn` and tells what it throws, or what its promise is rejected with; both go on as if nobody had looked. */
function passingOn(exchange, fn) {
  let result;
  try {
    result = fn();
  } catch (error) {
    exchange.failed(error);
    throw error;
  }
  if (!types.isPromise(result)) {
    return result;
  }
  return Promise.prototype.then.call(result, undefined, (error) => {
    exchange.failed(error);
    throw error;
  });
}

module.exports = { errors, wrap };
