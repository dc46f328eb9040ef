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
  const { app, originalUrl, route } = request;
  const mounted = route === undefined ? null : mountOfApp(app);
  if (mounted === null) {
    return undefined;
  }
  const path = originalUrl.split('?', 1)[0];
  const inner = mountBelow(app._router ?? app.router, route, withoutWords(path, mounted)) ?? NOT_FOUND;
  return inner.mount === null ? undefined : mounted + inner.mount + templateOf(route.path);
}

function templateOf(path) {
  const one = Array.isArray(path) ? path[0] : path;
  return one === '/' ? '' : String(one);
}

/** The template of a mount, the first where it has several; null for one that is no plain text. */
function templateOfMount(path) {
  const one = Array.isArray(path) ? path.flat(Number.POSITIVE_INFINITY)[0] : path;
  return typeof one === 'string' ? templateOf(one) : null;
}

/** The mounts of an application and of those it lies in; null where it cannot be told how much of a path they take. */
function mountOfApp({ parent, mountpath }) {
  if (parent === undefined) {
    return '';
  }
  const [outer, own] = [mountOfApp(parent), templateOfMount(mountpath)];
  return outer === null || own === null || /[*{}()?+]/.test(own) ? null : outer + own;
}

/** The path without as many words as the template has. */
function withoutWords(path, template) {
  const words = path.split('/').slice(template.split('/').length);
  return `/${words.join('/')}`;
}

/** A route that lies in none of the routers is named by itself. */
const NOT_FOUND = { mount: '' };

/**
 * The mounts from `router` to the one that holds `route`, for the path `left`; undefined when there is no way, null for
 * the `mount` when it has no template.
 */
function mountBelow(router, route, left) {
  for (const layer of router?.stack ?? []) {
    if (layer.route === route) {
      return NOT_FOUND;
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
  if (inner === undefined) {
    return undefined;
  }
  const own = mountOfLayer(layer, path, params);
  return { mount: own === null || inner.mount === null ? null : own + inner.mount };
}

/** The template a router is mounted at: as it was given, from its expression in Express 4, else from what it matched. */
function mountOfLayer(layer, path, params) {
  if (layer.rawPath !== undefined) {
    return templateOfMount(layer.rawPath);
  }
  return layer.regexp === undefined ? matchedMount(layer, path, params) : mountOfExpression(layer);
}

/** What Express 4 makes of a template: its beginning and end, and a parameter that is a word of its own. */
const EXPRESSION = /^\^(.*)\\\/\?\(\?=\\\/\|\$\)$/;
const PARAMETER = /\(\?:\\\/\([^()]*\)\)/g;
const LITERALS = /^(?:[\w:~%@,-]|\\[/.])*$/;

/** The template that Express 4 has made the layer's expression of; null for any that is not of words and parameters. */
function mountOfExpression({ regexp, keys }) {
  let count = 0;
  const named = EXPRESSION.exec(regexp.source)?.[1].replace(PARAMETER, () => {
    count += 1;
    return `\\/:${keys[count - 1]?.name}`;
  });
  const isTemplate = named !== undefined && count === keys.length && LITERALS.test(named);
  return isTemplate ? named.replaceAll('\\', '') : null;
}

/** More than the templates that one mount has: clients write its words in capitals or not. */
const MOST_MOUNTS = 8;

/** The templates that a layer has been seen with. */
const seen = new WeakMap();

/** For routers that keep no template: the path, its parameters by name; null where these are no whole words. */
function matchedMount(layer, path, params) {
  const mount = named(path, Object.entries(params ?? {}));
  if (!seen.has(layer)) {
    seen.set(layer, new Set());
  }
  const mounts = seen.get(layer);
  if (mount !== null && mounts.size < MOST_MOUNTS) {
    mounts.add(mount);
  }
  return mounts.has(mount) ? mount : null;
}

/** The path with the values of parameters replaced by their names, each of which has to be exactly one of its words. */
function named(path, params) {
  const words = path.split('/').map((word) => ({ value: decoded(word), name: word.toLowerCase() }));
  for (const [name, value] of params) {
    const fitting = words.filter((word) => word.value === value);
    if (fitting.length !== 1) {
      return null;
    }
    fitting[0].value = undefined;
    fitting[0].name = `:${name}`;
  }
  return words
    .map(({ name }) => name)
    .join('/')
    .replace(/\/$/, '');
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

module.exports = { errorHandler, middleware };
