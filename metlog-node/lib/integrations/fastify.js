// Fastify: a plugin, and a logger.
//
//     const app = Fastify({ loggerInstance: logger() });
//     app.register(plugin);
'use strict';

const { AsyncResource } = require('node:async_hooks');

const { begin, isClients, optionsOf } = require('./exchange.js');
const { guarded } = require('./guard.js');
const { logger } = require('./levels.js');

/** Where a request has its exchange, and a way back into its context. */
const EXCHANGE = Symbol('metlog.exchange');
const CONTEXT = Symbol('metlog.context');

/** Times, counts and binds each request; exceptions are sent. */
async function plugin(app, options) {
  const checked = optionsOf(options);
  app.addHook('onRequest', (request, reply, next) => {
    const exchange = begin(checked, request.raw, reply.raw, () => routeOf(request));
    if (exchange === undefined) {
      return next();
    }
    request[EXCHANGE] = exchange;
    exchange.run(() => {
      request[CONTEXT] = new AsyncResource('metlog.request');
      next();
    });
  });
  // A body is read by events of the connection, which know nothing of the request.
  app.addHook('preValidation', (request, _reply, next) => {
    const context = request[CONTEXT];
    return context === undefined ? next() : context.runInAsyncScope(next);
  });
  app.addHook('onError', (request, _reply, error, next) => {
    told(request, error);
    next();
  });
}

const told = guarded((request, error) => {
  if (!isClients(error)) {
    request[EXCHANGE]?.failed(error);
  }
});

/** The template of the route; a request that no route was found for has none. */
function routeOf(request) {
  return request.is404 ? undefined : request.routeOptions?.url;
}

// The hooks are for all routes, not only for those that are registered beside this.
plugin[Symbol.for('skip-override')] = true;
plugin[Symbol.for('fastify.display-name')] = 'metlog';

module.exports = plugin;
module.exports.plugin = plugin;
module.exports.logger = logger;
