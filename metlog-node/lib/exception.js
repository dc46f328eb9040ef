// What is known about an error, as the options of a `sentry` message.
//
// An error is read without running any code of the application. V8 itself may run some: a stack that nobody has asked for
// yet is written now, with the error's name and message, or by `Error.prepareStackTrace` where the application has set that.
'use strict';

const { types } = require('node:util');

const native = require('./native.js');
const { fieldsOf, isObject } = require('./call.js');
const { boundedText, dataOf, inherits, isReadable, kindOf, messageOf, propertiesOf } = require('./inert.js');
const { isSeverity, SEVERITY } = require('./severity.js');

/** Errors of one report; the core keeps as many. */
const MAX_CHAIN = 50;

/** Characters of a stack, innermost calls first: some 2,000 of them. */
const MAX_STACK = 256 * 1024;

/** The message stands in the stack after the error's name, which is shorter than this. */
const MAX_HEADER = 256;

/** What is told elsewhere in the event. */
const TOLD = ['name', 'message', 'stack', 'cause', 'errors'];

/** The arguments that are shown. */
const MAX_ARGUMENTS = 60;

/**
 * What is known about `error`, as JSON for the core, and the options of its message. `defaults` are the client's: what the
 * options do not say.
 */
function reportOf(error, options, defaults) {
  // A text would be taken apart into its characters.
  const { msg = '', extra, dsn, ...rest } = isObject(options ?? undefined) ? options : {};
  if (dsn !== undefined && dsn !== null) {
    native.checkDsn(dsn);
  }
  const now = Date.now();
  const severity = rest.severity ?? SEVERITY.ERROR;
  const chain = chainOf(error);
  const report = JSON.stringify({
    chain: chain.map(linkOf),
    message: boundedText(msg),
    timestamp: now,
    logger: boundedText(rest.logger ?? defaults.logger),
    severity: isSeverity(severity) ? severity : SEVERITY.ERROR,
    hostname: typeof rest.hostname === 'string' ? boundedText(rest.hostname) : undefined,
    dsn,
    arguments: process.argv.slice(0, MAX_ARGUMENTS).map((argument) => boundedText(argument)),
    extra: { ...propertiesOf(extra), ...propertiesOfAll(chain) },
    root: folder(),
  });
  return { report, dsn, columns: { timestamp: now, ...rest, severity } };
}

/** The options of the finished message. */
function sentryOf({ report, dsn = null, columns }) {
  const { payload, epochTimestamp, message } = native.sentry(report);
  const own = { epoch_timestamp: epochTimestamp, msg: message, dsn };
  return { ...columns, payload, fields: { ...fieldsOf(columns.fields), ...own } };
}

/** The error, then its causes, then what it holds, each followed by its own; no object twice. */
function chainOf(reported) {
  const chain = [];
  const seen = new Set();
  const pending = [{ error: reported, member: false }];
  while (pending.length > 0 && chain.length < MAX_CHAIN) {
    const next = pending.shift();
    if (!seen.has(next.error)) {
      if (typeof next.error === 'object') {
        seen.add(next.error);
      }
      pending.unshift(...behind(next.error, chain.length));
      chain.push(next);
    }
  }
  return chain;
}

function behind(error, parent) {
  const cause = dataOf(error, 'cause');
  const hasCause = cause !== undefined && cause !== null && typeof cause !== 'function';
  const causes = hasCause ? [{ error: cause, member: false, parent }] : [];
  return [...causes, ...membersOf(error).map((member) => ({ error: member, member: true, parent }))];
}

function membersOf(error) {
  const held = isAggregate(error) ? dataOf(error, 'errors') : undefined;
  const members = [];
  if (isReadable(held) && Array.isArray(held)) {
    for (let index = 0; index < Math.min(held.length, MAX_CHAIN); index += 1) {
      members.push(dataOf(held, index));
    }
  }
  return members;
}

function isAggregate(error) {
  try {
    return inherits(error, AggregateError.prototype);
  } catch {
    return false;
  }
}

function linkOf({ error, member, parent }) {
  if (isReadable(error)) {
    return { kind: kindOf(error), value: messageOf(error), stack: stackOf(error), member, parent };
  }
  const isProxy = types.isProxy(error);
  const value = isProxy ? '' : boundedText(error);
  return { kind: isProxy ? 'Proxy' : typeof error, value, stack: '', member, parent };
}

/** The calls of a stack. The message before them is left out: it may hold lines that look like calls. */
function stackOf(error) {
  const stack = dataOf(error, 'stack');
  if (typeof stack !== 'string') {
    return '';
  }
  const message = dataOf(error, 'message');
  const at = typeof message === 'string' ? stack.indexOf(message) : -1;
  const calls = at >= 0 && at <= MAX_HEADER ? at + message.length : 0;
  return boundedText(stack.slice(calls), MAX_STACK);
}

/** The properties of the errors that have some: of the one that was reported, and of those behind it. */
function propertiesOfAll([first, ...others]) {
  const own = propertiesOf(first.error, { level: 1, without: TOLD });
  const behind = others.map(({ error }) => propertiesOf(error, { level: 2, without: TOLD }));
  const has = (properties) => Object.keys(properties).length > 0;
  return {
    ...(has(own) ? { properties: own } : {}),
    ...(behind.some(has) ? { causes_properties: behind } : {}),
  };
}

function folder() {
  try {
    return process.cwd();
  } catch {
    // The folder has been removed.
    return '';
  }
}

module.exports = { reportOf, sentryOf };
