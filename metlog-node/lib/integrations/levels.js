// Log lines of other loggers as messages: their levels as severities, what they carry as fields; and a logger that is
// called as pino is.
'use strict';

const { format } = require('node:util');

const { getClient } = require('../configure.js');
const { text } = require('../plain.js');
const { SEVERITY } = require('../severity.js');
const { guarded } = require('./guard.js');

/** The names that loggers give their levels. */
const SEVERITIES = Object.freeze({
  silly: SEVERITY.DEBUG,
  trace: SEVERITY.DEBUG,
  debug: SEVERITY.DEBUG,
  verbose: SEVERITY.DEBUG,
  http: SEVERITY.INFORMATIONAL,
  info: SEVERITY.INFORMATIONAL,
  notice: SEVERITY.NOTICE,
  warn: SEVERITY.WARNING,
  warning: SEVERITY.WARNING,
  error: SEVERITY.ERROR,
  fatal: SEVERITY.CRITICAL,
  crit: SEVERITY.CRITICAL,
  critical: SEVERITY.CRITICAL,
  alert: SEVERITY.ALERT,
  emerg: SEVERITY.EMERGENCY,
  emergency: SEVERITY.EMERGENCY,
});

/** Levels of pino from here up, the highest first. */
const NUMBERS = [
  [60, SEVERITY.CRITICAL],
  [50, SEVERITY.ERROR],
  [40, SEVERITY.WARNING],
  [30, SEVERITY.INFORMATIONAL],
];

/** The severity of a level, named or as a number of pino's; informational for one that is not known. */
function severityOf(level) {
  if (typeof level === 'number') {
    return NUMBERS.find(([from]) => level >= from)?.[1] ?? SEVERITY.DEBUG;
  }
  return Object.hasOwn(SEVERITIES, level) ? SEVERITIES[level] : SEVERITY.INFORMATIONAL;
}

/** The values of an object by name, with errors as what can be read of them. */
function fieldsOf(object) {
  const fields = {};
  for (const [name, value] of Object.entries(object)) {
    fields[name] = value instanceof Error ? errorOf(value) : value;
  }
  return fields;
}

function errorOf(error) {
  const { name, message, stack, code } = error;
  return { type: name, message, stack, ...(code === undefined ? undefined : { code }) };
}

/** The levels of pino, and those that a child may be set to. */
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** What frameworks hand over instead of values. */
const SERIALIZERS = {
  req: (request) => {
    const { method, url, hostname } = request;
    return { method, url, host: hostname, remoteAddress: request.ip ?? request.socket?.remoteAddress };
  },
  res: (response) => ({ statusCode: response.statusCode }),
};

/** A logger that is called as pino is: Fastify takes it as `loggerInstance`. */
function logger({ client, level = 'info' } = {}) {
  return new Logger({ client, bindings: {}, serializers: SERIALIZERS, level });
}

class Logger {
  #settings;

  constructor(settings) {
    this.#settings = settings;
    this.level = settings.level;
  }

  /** A logger whose lines all carry `bindings` too. */
  child(bindings, options = {}) {
    const { client, bindings: outer, serializers } = this.#settings;
    const own = { ...serializers, ...options.serializers };
    const level = options.level ?? this.level;
    return new Logger({ client, bindings: { ...outer, ...bindings }, serializers: own, level });
  }

  isLevelEnabled(level) {
    return LEVELS.indexOf(level) >= LEVELS.indexOf(this.level) && LEVELS.includes(this.level);
  }

  /** As pino: nothing is sent. */
  silent() {}

  static {
    for (const level of LEVELS) {
      Logger.prototype[level] = function log(...given) {
        if (this.isLevelEnabled(level)) {
          send(this.#settings, level, given);
        }
      };
    }
  }
}

const send = guarded(({ client = getClient(), bindings, serializers }, level, [first, ...rest]) => {
  const isObject = typeof first === 'object' && first !== null;
  const object = first instanceof Error ? { err: first } : isObject ? first : {};
  const words = isObject ? rest : [first, ...rest];
  const payload = words.length > 0 ? format(...words) : text(object.msg ?? object.err?.message ?? '');
  const fields = serialized({ ...bindings, ...object }, serializers);
  client.metlog('oldstyle', { severity: severityOf(level), payload, fields });
});

function serialized(object, serializers) {
  const { msg: _, ...values } = object;
  for (const [name, value] of Object.entries(values)) {
    if (Object.hasOwn(serializers, name) && typeof value === 'object' && value !== null) {
      values[name] = serializers[name](value);
    }
  }
  return fieldsOf(values);
}

module.exports = { errorOf, fieldsOf, logger, severityOf };
