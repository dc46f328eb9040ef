// What is told of an HTTP request, the same for every framework and in Python.
//
// | message | name | when |
// |---|---|---|
// | `timer` | `http.server.request` | the request has ended: its answer is sent or the client is gone |
// | `timer` | `http.server.route.<route>.<method>` | the same, where the framework knows the route |
// | `counter` | `http.server.status.<class>`, `http.server.status.<status>` | the same |
// | `counter` | `http.server.disconnect` | the client went away before it had all |
// | `counter` | `http.server.exception` | the application threw; a `sentry` message has the stack |
//
// All have the fields `method`, `route` (a template, null where none is known) and `status`.
'use strict';

const { AsyncResource } = require('node:async_hooks');
const { randomUUID } = require('node:crypto');
const { inspect } = require('node:util');

const native = require('../native.js');
const { metlogError } = require('../errors.js');
const { getClient } = require('../configure.js');
const { bind } = require('../context.js');
const { withRequest } = require('../request.js');
const { guarded } = require('./guard.js');
const { methodName, routeName, statusClass } = require('./names.js');

/** Stands for the value of a header whose name tells a secret. */
const MASK = '********';

/** A client chooses its request id: one that is longer, or holds more than printable ASCII, is not taken. */
const REQUEST_ID = /^[\x20-\x7e]{1,128}$/;

const SERVER_ERROR = 500;

/** What may be said about what is sent of requests. */
const DEFAULTS = Object.freeze({
  /** The process's default client, when undefined. */
  client: undefined,
  prefix: 'http.server',
  /** False leaves out the timer of each route. */
  routeTimers: true,
  /** False leaves out the `sentry` messages; exceptions are counted all the same. */
  exceptions: true,
  /** Binds `request_id`, `method` and `path` to every message sent while the request runs. */
  bind: true,
  /** The type of a message with headers, path and time of each request, as applications of the originals sent it. */
  requestMessage: undefined,
  /** Paths of which nothing is sent, such as those of health checks. */
  ignoredPaths: [],
});

/** The options given, checked, over the defaults. */
function optionsOf(given = {}) {
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(DEFAULTS, name));
  if (unknown.length > 0) {
    const known = Object.keys(DEFAULTS).join(', ');
    throw metlogError('config', `unknown option "${unknown[0]}", expected some of ${known}`);
  }
  const options = { ...DEFAULTS, ...definedOf(given) };
  checkKinds(options);
  return { ...options, ignoredPaths: pathsOf(options.ignoredPaths) };
}

/** The options that are given as undefined have their defaults. */
function definedOf(given) {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** What an option has to be, where not any value will do. */
const KINDS = Object.freeze({
  client: [isClient, 'a client'],
  prefix: [isText, 'a text'],
  routeTimers: [isSwitch, 'true or false'],
  exceptions: [isSwitch, 'true or false'],
  bind: [isSwitch, 'true or false'],
  requestMessage: [(value) => value === undefined || isText(value), 'a type of messages'],
});

function checkKinds(options) {
  for (const [name, [fits, expected]] of Object.entries(KINDS)) {
    if (!fits(options[name])) {
      throw metlogError('config', `${name} is ${inspect(options[name])}, expected ${expected}`);
    }
  }
}

function isClient(value) {
  return value === undefined || ['incr', 'timer_send'].every((name) => name in Object(value));
}

function isText(value) {
  return typeof value === 'string' && value !== '';
}

function isSwitch(value) {
  return typeof value === 'boolean';
}

/** A list or set of paths as a set. */
function pathsOf(given) {
  const isList = Array.isArray(given) || given instanceof Set;
  if (!isList || ![...given].every((path) => typeof path === 'string')) {
    throw metlogError('config', `ignoredPaths is ${inspect(given)}, expected a list of paths`);
  }
  return new Set(given);
}

/** One request from its start to its end. No method throws. */
class Exchange {
  #routeOf;
  #options;
  #request;
  #response;
  #path;
  #requestId;
  #started = performance.now();
  #failed = false;
  #told;
  #ended = false;

  constructor(options, request, response, routeOf) {
    this.#options = options;
    this.#routeOf = routeOf;
    this.#request = request;
    this.#response = response;
    this.#path = pathOf(request);
    this.#requestId = requestIdOf(request);
  }

  /** Runs `fn` with the request at hand and bound; gives back what it does. */
  run(fn) {
    return withRequest(this.#request, () => (this.#options.bind ? bind(this.bound(), fn) : fn()));
  }

  /** What is bound for the request. */
  bound() {
    return { request_id: this.#requestId, method: this.#request.method, path: this.#path };
  }

  static {
    for (const name of ['failed', 'ended']) {
      Exchange.prototype[name] = guarded(Exchange.prototype[name]);
    }
  }

  /** Tells that the application threw; of one exception once, however often it comes by. */
  failed(error) {
    this.#failed = true;
    if (this.#told !== undefined && this.#told.error === error) {
      return;
    }
    this.#told = { error };
    const { exceptions, prefix } = this.#options;
    const client = this.#client();
    const fields = { ...this.#fields(), status: this.#statusOf(error) };
    client.incr(`${prefix}.exception`, { fields: { ...fields, exception: kindOf(error) } });
    if (exceptions) {
      const told = { ...fields, path: this.#path, request_id: this.#requestId };
      client.sendException(error, { msg: `${this.#request.method} ${this.#path}`, fields: told });
    }
  }

  /** Tells how long it took and how it ended; only the first call counts. */
  ended() {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    const elapsed = performance.now() - this.#started;
    const { prefix, routeTimers, requestMessage } = this.#options;
    const client = this.#client();
    const fields = this.#fields();
    client.timer_send(elapsed, `${prefix}.request`, { fields });
    if (fields.route !== null && routeTimers) {
      client.timer_send(elapsed, `${prefix}.route.${routeName(fields.route)}.${fields.method}`, { fields });
    }
    client.incr(`${prefix}.status.${statusClass(fields.status)}`, { fields });
    client.incr(`${prefix}.status.${fields.status}`, { fields });
    if (!this.#response.writableFinished) {
      client.incr(`${prefix}.disconnect`, { fields });
    }
    if (requestMessage !== undefined) {
      client.metlog(requestMessage, { fields: this.#message(fields, elapsed) });
    }
  }

  #client() {
    return this.#options.client ?? getClient();
  }

  /** What the client got; of an answer that had not begun when it failed or broke off, what that comes to. */
  #status() {
    const { headersSent, statusCode } = this.#response;
    if (headersSent) {
      return statusCode;
    }
    return this.#failed ? Math.max(statusCode, SERVER_ERROR) : 0;
  }

  /** What the client is going to get for `error`, as it says or as it has been set. */
  #statusOf(error) {
    const status = statusOf(error);
    return isServerError(status) ? status : Math.max(this.#status(), SERVER_ERROR);
  }

  /** The route is its template; null where none is known. */
  #fields() {
    const route = this.#routeOf?.(this.#request) ?? null;
    return { method: methodName(this.#request.method), route, status: this.#status() };
  }

  #message(fields, elapsed) {
    const headers = Object.entries(this.#request.headers);
    return {
      ...fields,
      path: this.#path,
      request_id: this.#requestId,
      req_time: Math.round(elapsed),
      headers: Object.fromEntries(
        headers.map(([name, value]) => [name, native.isSecretName(name) ? MASK : value]),
      ),
      // The originals' applications kept data of the request there.
      threadlocal: {},
    };
  }
}

/** The exchange of a request, which ends with its answer; undefined for one of which nothing is told. */
const begin = guarded((options, request, response, routeOf) => {
  if (options.ignoredPaths.has(pathOf(request))) {
    return undefined;
  }
  const exchange = new Exchange(options, request, response, routeOf);
  // Sent in the context of the request, in which whoever listens first need not be.
  const bound = exchange.run(() => AsyncResource.bind(() => exchange.ended()));
  response.once('finish', bound);
  response.once('close', bound);
  return exchange;
});

/** The path as it came, without what is asked for. */
function pathOf(request) {
  const url = request.originalUrl ?? request.url ?? '';
  return url.split('?', 1)[0];
}

function requestIdOf(request) {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID().replaceAll('-', '');
}

/** True for an error that says by its status that the client is to blame. */
function isClients(error) {
  const status = statusOf(error);
  return typeof status === 'number' && status >= 400 && status < SERVER_ERROR;
}

function isServerError(status) {
  return Number.isInteger(status) && status >= SERVER_ERROR && status <= 599;
}

function statusOf(error) {
  try {
    return error.status ?? error.statusCode;
  } catch {
    return undefined;
  }
}

/** The class of what was thrown. */
function kindOf(error) {
  try {
    return error instanceof Error ? error.constructor.name || error.name : typeof error;
  } catch {
    return 'unknown';
  }
}

module.exports = { begin, isClients, optionsOf };
