// Every `http` server of the process, watched through `diagnostics_channel`: no application has to be changed for it.
//
//     const unsubscribe = subscribe();
'use strict';

const channels = require('node:diagnostics_channel');

const { bind } = require('../context.js');
const { enterRequest } = require('../request.js');
const { begin, optionsOf } = require('./exchange.js');
const { guarded } = require('./guard.js');

/** Times, counts and binds each request of each server from now on. Gives back a function that ends this. */
function subscribe(options) {
  const checked = optionsOf(options);
  const onStart = guarded(({ request, response }) => {
    const exchange = begin(checked, request, response);
    if (exchange !== undefined) {
      enterRequest(request);
      if (checked.bind) {
        bind(exchange.bound());
      }
    }
  });
  channels.subscribe('http.server.request.start', onStart);
  return () => {
    channels.unsubscribe('http.server.request.start', onStart);
  };
}

module.exports = { subscribe };
