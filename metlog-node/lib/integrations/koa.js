// Koa: a middleware, the first of all.
//
//     app.use(middleware());
'use strict';

const { begin, isClients, optionsOf } = require('./exchange.js');

/** Times, counts and binds each request; what the middleware below throws is sent and passed on. */
function middleware(options) {
  const checked = optionsOf(options);
  return function metlog(context, next) {
    const exchange = begin(checked, context.req, context.res, () => routeOf(context));
    if (exchange === undefined) {
      return next();
    }
    return exchange.run(async () => {
      try {
        return await next();
      } catch (error) {
        if (!isClients(error)) {
          exchange.failed(error);
        }
        throw error;
      }
    });
  };
}

/** The template of the route, as routers for Koa leave it. */
function routeOf(context) {
  const route = context._matchedRoute ?? context.routerPath;
  return typeof route === 'string' ? route : undefined;
}

module.exports = { middleware };
