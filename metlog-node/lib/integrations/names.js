// Names of metrics: few, whatever clients ask for; the same as those of the Python package.
'use strict';

/** Any other method is `OTHER`: clients may invent as many as they like. */
const METHODS = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'REPORT'],
]);
const OTHER = 'OTHER';

/** Of `:key`, `:key(pattern)`, `{key}` and `*key` the key. */
const PARAMETER = /:(\w+)(?:\((?:[^()]|\([^()]*\))*\))?|\{(\w+)(?::(?:[^{}]|\{[^{}]*\})*)?\}|\*(\w+)/g;
const NO_WORD = /[^A-Za-z0-9_-]+/g;

/** What a name may be long; the roll-up refuses names over 1,024 bytes. */
const LONGEST = 200;

/** More routes than an application has: a framework may call a path a route. */
const MOST_ROUTES = 4096;

const routeNames = new Map();

/** A method as it stands in names and fields. */
function methodName(method) {
  return METHODS.has(method) ? method : OTHER;
}

/** `2xx` for 204; what is no status of HTTP is `other`. */
function statusClass(status) {
  return status >= 100 && status <= 599 ? `${Math.floor(status / 100)}xx` : 'other';
}

/** The words of a metric's name of a route's template: `/items/:id/tags` is `items.id.tags`. */
function routeName(route) {
  const known = routeNames.get(route);
  if (known !== undefined) {
    return known;
  }
  if (routeNames.size === MOST_ROUTES) {
    routeNames.clear();
  }
  const name = nameOf(route);
  routeNames.set(route, name);
  return name;
}

function nameOf(route) {
  const plain = route.replace(PARAMETER, (_, colon, brace, star) => colon ?? brace ?? star);
  const words = plain.split('/').map((word) => word.replace(NO_WORD, '_').replace(/^_+|_+$/g, ''));
  return words.filter(Boolean).join('.').slice(0, LONGEST) || 'root';
}

module.exports = { methodName, routeName, statusClass };
