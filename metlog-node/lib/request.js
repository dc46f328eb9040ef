// The request under way, for what tells about it without being handed it (`client.cef`).
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');

/** Made with the first request. */
let storage;

/** Runs `fn` with `request` at hand, for it and for what it starts; gives back what it does. */
function withRequest(request, fn) {
  storage ??= new AsyncLocalStorage();
  return storage.run(request, fn);
}

/** The same for the rest of what is under way. */
function enterRequest(request) {
  storage ??= new AsyncLocalStorage();
  storage.enterWith(request);
}

/** The request under way, if any is. */
function currentRequest() {
  return storage?.getStore();
}

module.exports = { currentRequest, enterRequest, withRequest };
