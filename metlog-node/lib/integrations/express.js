// Express 4 and 5: a middleware, the first of all, and a handler of errors, the first of those.
//
//     app.use(middleware());
//     ...
//     app.use(errorHandler());
'use strict';

const { begin, isClients, optionsOf } = require('./exchange.js');

/** The exchange of each request that has one. */
const exchanges = new WeakMap();

/** Times, counts and binds each request. */
function middleware(options) {
  const checked = optionsOf(options);
  return function metlog(request, response, next) {
    const exchange = begin(checked, request, response, routeOf);
    if (exchange === undefined) {
      return next();
    }
    exchanges.set(request, exchange);
    return exchange.run(() => next());
  };
}

/** Sends what a route or a middleware has thrown, and passes it on. */
function errorHandler() {
  // Express tells a handler of errors by its four parameters.
  return function metlog(error, request, _response, next) {
    if (!isClients(error)) {
      exchanges.get(request)?.failed(error);
    }
    next(error);
  };
}

/** The template of the route that a request has taken; no part of it comes from the request. */
function routeOf(request) {
  const { app, route } = request;
  if (route === undefined) {
    return undefined;
  }
  const mounted = app.path?.() ?? '';
  const router = app._router ?? app.router;
  return mounted + (mountOf(router, route, request) ?? '') + templateOf(route.path);
}

function templateOf(path) {
  const one = Array.isArray(path) ? path[0] : path;
  return one === '/' ? '' : String(one);
}

/** Where the router that holds `route` is mounted below `router`. */
function mountOf(router, route, request) {
  const below = request.originalUrl.split('?', 1)[0].slice((request.app.path?.() ?? '').length);
  return mountBelow(router, route, below);
}

/** The mounts from `router` to the one that holds `route`, for the path `left`; undefined when there is no way. */
function mountBelow(router, route, left) {
  for (const layer of router?.stack ?? []) {
    if (layer.route === route) {
      return '';
    }
    const inner = layer.handle?.stack === undefined ? undefined : withinLayer(layer, route, left);
    if (inner !== undefined) {
      return inner;
    }
  }
  return undefined;
}

/** The mount of a router, its parameters by name, and of what lies in it. */
function withinLayer(layer, route, left) {
  const found = layer.match(left);
  if (!found) {
    return undefined;
  }
  // Up to 5.2 a router leaves what it has matched in its layer, until the next request comes by.
  const { path, params } = found === true ? layer : found;
  const inner = mountBelow(layer.handle, route, left.slice(path.length));
  return inner === undefined ? undefined : named(path, params) + inner;
}

/** The path with the values of parameters replaced by their names. */
function named(path, params) {
  const names = new Map(Object.entries(params ?? {}).map(([name, value]) => [value, name]));
  const words = path.split('/').map((word) => {
    const name = names.get(decoded(word));
    return name === undefined ? word : `:${name}`;
  });
  return words.join('/').replace(/\/$/, '');
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

module.exports = { errorHandler, middleware };
