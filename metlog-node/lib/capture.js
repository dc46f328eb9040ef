// Exceptions that nobody catches.
'use strict';

const { SEVERITY } = require('./severity.js');

/** The listener of each client that has one. */
const listeners = new WeakMap();

/**
 * From now on an exception or rejection that nobody catches is sent before Node deals with it, which it does as if this
 * were not there. Gives back a function that ends this.
 *
 * When the process ends of it, the hook at its end sends what is left, for two seconds at most; when the application
 * goes on, so does the client.
 */
function captureUncaught(client) {
  if (!listeners.has(client)) {
    const listener = (error, origin) => capture(client, error, origin);
    listeners.set(client, listener);
    process.on('uncaughtExceptionMonitor', listener);
  }
  const listener = listeners.get(client);
  return () => {
    process.removeListener('uncaughtExceptionMonitor', listener);
    if (listeners.get(client) === listener) {
      listeners.delete(client);
    }
  };
}

/** What a listener throws would end the process in another way: nothing does, whatever a subclass makes of the call. */
function capture(client, error, origin) {
  try {
    client.sendException(error, { severity: SEVERITY.ALERT, extra: { origin } });
  } catch {
    // The application's own exception is what matters now.
  }
}

module.exports = { captureUncaught };
