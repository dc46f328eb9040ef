// Every `http` server of the process, watched through `diagnostics_channel`: no application has to be changed for it.
//
//     const unsubscribe = subscribe();
'use strict';

const channels = require('node:diagnostics_channel');

const { bind, current, restore } = require('../context.js');
const { enterRequest } = require('../request.js');
const { begin, optionsOf } = require('./exchange.js');
const { guarded } = require('./guard.js');

/** Times, counts and binds each request of each server from now on. Gives back a function that ends this. */
function subscribe(options) {
  const checked = optionsOf(options);
  const onStart = guarded(({ request, response }) => {
    startAfresh(request);
    const exchange = begin(checked, request, response);
    if (exchange !== undefined && checked.bind) {
      bind(exchange.bound());
    }
  });
  channels.subscribe('http.server.request.start', onStart);
  return () => {
    channels.unsubscribe('http.server.request.start', onStart);
  };
}

/** Of each connection the request it is at, and what was bound when it came. */
const connections = new WeakMap();

/** A connection keeps what one request has bound for the next ones, which must not see it. */
function startAfresh(request) {
  const known = connections.get(request.socket);
  if (known?.request === request) {
    return;
  }
  const bound = known === undefined ? current() : known.bound;
  connections.set(request.socket, { request, bound });
  restore(bound);
  enterRequest(request);
}

module.exports = { subscribe };
