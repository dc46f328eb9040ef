// The default client of the process: set up by settings, by a TOML file, by `METLOG_*` variables.
'use strict';

const { fileURLToPath } = require('node:url');

const native = require('./native.js');
const { MetlogClient } = require('./client.js');
const { metlogError } = require('./errors.js');
const filters = require('./filters.js');
const { NativeSender } = require('./native_sender.js');
const { plainJson } = require('./plain.js');
const { zmqPushSenderFactory } = require('./senders.js');
const { isShared, tune } = require('./state.js');

/** Settings whose own settings may stand in an object: `sender: { class: ... }` is `senderClass`. */
const TABLES = ['sender', 'filters'];

/** Filters by their setting. */
const PROVIDERS = {
  severityMax: (severity) => filters.severityMaxProvider({ severity }),
  typeBlacklist: (types) => filters.typeBlacklistProvider({ types }),
  typeWhitelist: (types) => filters.typeWhitelistProvider({ types }),
  typeSeverityMax: (types) => filters.typeSeverityMaxProvider({ types }),
  typeRate: (types) => filters.typeRateProvider({ types }),
};

/** Names the file where code names none. */
const FILE_VARIABLE = 'METLOG_CONFIG';

let defaultClient;

/** What the last configuration has made, and the next one ends. */
let ownSender;

/**
 * Sets the default client up and gives it back: by settings, over `METLOG_*` variables, over the TOML file that is named
 * here or by `METLOG_CONFIG`.
 * The client and its handles stay the same, however often this is called.
 */
function configure(...given) {
  const { file, settings } = argumentsOf(given.filter((one) => one !== undefined && one !== null));
  const parts = partsOf(file, settings);
  defaultClient ??= new MetlogClient();
  apply(defaultClient, parts);
  return defaultClient;
}

/** A file, if one is named, and settings, if there are any. */
function argumentsOf(given) {
  const [file, rest] = isPath(given[0])
    ? [given[0], given.slice(1)]
    : [process.env[FILE_VARIABLE] || undefined, given];
  const [settings = {}, ...more] = rest;
  if (!isTableLike(settings) || Array.isArray(settings) || more.length > 0) {
    const wrong = more.length > 0 ? more[0] : settings;
    throw metlogError(
      'config',
      `configure() was given ${described(wrong)}, expected settings in an object, and the path of a file before them`,
    );
  }
  return { file, settings };
}

/** The default client; set up by `METLOG_*` variables if nobody has configured it, and then it throws as `configure`. */
function getClient() {
  return defaultClient ?? configure();
}

/** The same for those that never throw: a configuration that cannot be used is told, and the defaults are used. */
function boundLate() {
  try {
    return getClient();
  } catch (error) {
    native.warn('config', `${error.message}; the defaults are used`);
    ownSender = zmqPushSenderFactory();
    defaultClient = new MetlogClient(ownSender);
    return defaultClient;
  }
}

function isPath(given) {
  return typeof given === 'string' || given instanceof URL;
}

/** What a client is set up with. */
function partsOf(file, { sender, filters: given, handleSigterm, ...settings }) {
  const ready = typeof sender?.sendMessage === 'function' ? sender : undefined;
  const ownFilters = Array.isArray(given) ? given : [];
  checkTables({ sender, filters: given });
  checkSwitch('handleSigterm', handleSigterm);
  const named = flat({
    ...settings,
    sender: ready === undefined ? sender : undefined,
    filters: Array.isArray(given) ? undefined : given,
  });
  if (!ownFilters.every((filter) => typeof filter === 'function')) {
    throw metlogError(
      'config',
      'configure(): filters is a list, expected functions in it, or settings by name',
    );
  }
  const found = read(named, file instanceof URL ? fileURLToPath(file) : file);
  const rules = Object.entries(JSON.parse(found.filters)).map(([kind, value]) => PROVIDERS[kind](value));
  return {
    ...found,
    sender: ready ?? new NativeSender(found.sender),
    isOwn: ready === undefined,
    filters: [...rules, ...ownFilters],
    handleSigterm,
  };
}

function apply(client, { sender, logger, severity, disabledTimers, filters: rules, ...rest }) {
  const { aggregate, aggregateIntervalMs, maxNames, handleSigterm, isOwn } = rest;
  tune(client, { aggregate, aggregateIntervalMs, maxNames });
  client.setup(sender, logger, severity, disabledTimers, rules);
  // Nobody would end its threads for a minute. Another client may use it: then it stays.
  if (ownSender !== undefined && !isShared(ownSender)) {
    ownSender.closeApart();
  }
  ownSender = isOwn ? sender : undefined;
  if (handleSigterm) {
    client.handleSigterm();
  }
}

function read(settings, file) {
  try {
    return native.configured(plainJson(settings), file);
  } catch (error) {
    throw metlogError(error.code, inOurCase(error.message), error);
  }
}

/** The settings by the core's names, without those that are not given. */
function flat(settings) {
  const named = {};
  for (const [name, value] of Object.entries(settings)) {
    const isTable = TABLES.includes(name) && isTableLike(value);
    for (const [inner, one] of isTable ? Object.entries(value) : [[undefined, value]]) {
      if (one !== undefined && one !== null) {
        named[inner === undefined ? snake(name) : `${name}_${snake(inner)}`] = plain(one, name);
      }
    }
  }
  return named;
}

/** The tables, as far as somebody has given them: each has another form besides. */
function checkTables({ sender, filters: given }) {
  const isTable = (value) => value === undefined || value === null || isTableLike(value);
  if (!isTable(sender) || Array.isArray(sender)) {
    const expected = 'settings by name, or an object with a method sendMessage';
    throw metlogError('config', `configure(): sender is ${described(sender)}, expected ${expected}`);
  }
  if (!isTable(given)) {
    const expected = 'settings by name, or a list of functions';
    throw metlogError('config', `configure(): filters is ${described(given)}, expected ${expected}`);
  }
}

function checkSwitch(name, value) {
  if (typeof (value ?? false) !== 'boolean') {
    throw metlogError('config', `configure(): ${name} is ${described(value)}, expected true or false`);
  }
}

function described(value) {
  return typeof value === 'function' ? 'a function' : plainJson(value);
}

function isTableLike(value) {
  return typeof value === 'object' && value !== null;
}

/** Names in a set, or a path as a URL, as the core takes them. */
function plain(value, name) {
  if (typeof value === 'function' || typeof value === 'symbol') {
    throw metlogError('config', `configure(): ${name} is a ${typeof value}, expected a value`);
  }
  if (value instanceof Set) {
    return [...value];
  }
  return value instanceof URL ? fileURLToPath(value) : value;
}

function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The core's message with settings as JavaScript has them: in what it says of code, and of what nobody has said. */
function inOurCase(message) {
  const lines = /^(?:configure\(\): |[a-z_]+ is not set, ).*$/gm;
  return message.replace(lines, (line) => {
    // Behind ` is ` stands what was found, which is the application's own.
    const end = line.startsWith('configure(): ') ? line.indexOf(' is ') : -1;
    const ours = end < 0 ? line : line.slice(0, end);
    return ours.replace(/\b[a-z]+(?:_[a-z]+)+\b/g, camelCase) + line.slice(ours.length);
  });
}

function camelCase(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

module.exports = { boundLate, configure, getClient };
