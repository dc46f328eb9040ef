// The default client of the process: set up by settings, by a TOML file, by `METLOG_*` variables.
'use strict';

const { fileURLToPath } = require('node:url');

const native = require('./native.js');
const { MetlogClient } = require('./client.js');
const { metlogError } = require('./errors.js');
const filters = require('./filters.js');
const { NativeSender } = require('./native_sender.js');
const { zmqPushSenderFactory } = require('./senders.js');
const { tune } = require('./state.js');

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

/**
 * Sets the default client up and gives it back: by settings, over `METLOG_*` variables, over the TOML file that is named
 * here or by `METLOG_CONFIG`.
 * The client and its handles stay the same, however often this is called.
 */
function configure(...given) {
  const [file, settings] = isPath(given[0]) ? given : [process.env[FILE_VARIABLE] || undefined, given[0]];
  const parts = partsOf(file, settings ?? {});
  defaultClient ??= new MetlogClient();
  apply(defaultClient, parts);
  return defaultClient;
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
    defaultClient = new MetlogClient(zmqPushSenderFactory());
    return defaultClient;
  }
}

function isPath(given) {
  return typeof given === 'string' || given instanceof URL;
}

/** What a client is set up with. */
function partsOf(file, { sender, filters: given, handleSigterm = false, ...settings }) {
  const ownSender = typeof sender?.sendMessage === 'function' ? sender : undefined;
  const ownFilters = Array.isArray(given) ? given : [];
  const named = flat({
    ...settings,
    sender: ownSender === undefined ? sender : undefined,
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
    sender: ownSender ?? new NativeSender(found.sender),
    filters: [...rules, ...ownFilters],
    handleSigterm,
  };
}

function apply(client, { sender, logger, severity, disabledTimers, filters: rules, ...rest }) {
  const { aggregate, aggregateIntervalMs, maxNames, handleSigterm } = rest;
  tune(client, { aggregate, aggregateIntervalMs, maxNames });
  client.setup(sender, logger, severity, disabledTimers, rules);
  if (handleSigterm) {
    client.handleSigterm();
  }
}

function read(settings, file) {
  try {
    return native.configured(JSON.stringify(settings), file);
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
        named[inner === undefined ? snake(name) : `${name}_${snake(inner)}`] = plain(one);
      }
    }
  }
  return named;
}

function isTableLike(value) {
  return typeof value === 'object' && value !== null;
}

/** Names in a set, or a path as a URL, as the core takes them. */
function plain(value) {
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
