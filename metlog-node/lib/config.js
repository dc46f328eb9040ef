// A client from a configuration in JSON.
'use strict';

const { MetlogClient } = require('./client.js');
const { metlogError } = require('./errors.js');
const { functionNamed, resolveName } = require('./named.js');

const KEYS = [
  'sender',
  'logger',
  'severity',
  'disabledTimers',
  'filters',
  'plugins',
  'global',
  'handleSigterm',
];

const globalConfig = {};

/** What a client's configuration has given it as methods. */
const pluginMethods = new WeakMap();

/** What configurations said under `global`. */
function getGlobalConfig() {
  return globalConfig;
}

/** Sets the client that is given up, or a new one, as `config` says: a JSON text or an object. */
function clientFromJsonConfig(config, given, clearGlobal = false) {
  const { sender, logger, severity, disabledTimers, filters = [], ...rest } = parsed(config);
  const { global = {}, handleSigterm = false, plugins = {} } = rest;
  const methods = methodsOf(plugins);
  const parts = [
    senderOf(sender),
    logger,
    severity,
    disabledTimers,
    listOfFilters(filters).map(([name, settings], index) =>
      functionNamed(name, `filters[${index}]`)(settings ?? {}),
    ),
  ];
  const client = given ?? new MetlogClient();
  replaceMethods(client, methods);
  if (clearGlobal) {
    for (const name of Object.keys(globalConfig)) {
      delete globalConfig[name];
    }
  }
  Object.assign(globalConfig, global);
  client.setup(...parts);
  if (handleSigterm) {
    client.handleSigterm();
  }
  return client;
}

function parsed(config) {
  const object = typeof config === 'string' ? fromJson(config) : config;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw metlogError('config', 'the configuration is no object, expected {"sender": {"factory": ...}, ...}');
  }
  // The originals took any key: a slip is told, and is no reason to stop.
  for (const key of Object.keys(object).filter((name) => !KEYS.includes(name))) {
    process.emitWarning(`metlog: unknown setting "${key}", expected one of ${KEYS.join(', ')}`);
  }
  return givenOf(object);
}

/** The settings but for those that are null: JSON has no other word for what is not given. */
function givenOf(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

function fromJson(json) {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw metlogError('config', `the configuration is no JSON: ${error.message}`, error);
  }
}

function senderOf(settings) {
  if (typeof settings?.factory !== 'string') {
    throw metlogError(
      'config',
      'sender.factory is missing, expected "metlog/senders:zmqPushSenderFactory" or another',
    );
  }
  return functionNamed(settings.factory, 'sender.factory')(settings);
}

function listOfFilters(filters) {
  if (!Array.isArray(filters) || !filters.every(Array.isArray)) {
    throw metlogError('config', 'filters is no list of lists, expected [["module:attribute", {...}], ...]');
  }
  return filters;
}

/** The methods of plugins `{name: {provider, override, ...settings}}`. */
function methodsOf(plugins) {
  return Object.entries(plugins).map(([name, plugin]) => {
    const setting = `plugins.${name}.provider`;
    if (typeof plugin?.provider !== 'string') {
      throw metlogError('config', `${setting} is missing, expected "metlog/cef:configPlugin" or another`);
    }
    const { provider, override = false, ...settings } = plugin;
    return { name, method: functionNamed(provider, setting)(settings), override };
  });
}

/** Gives the client these methods in place of those of an earlier configuration, or leaves it as it was. */
function replaceMethods(client, methods) {
  const earlier = pluginMethods.get(client) ?? [];
  removeMethods(client, earlier);
  const added = [];
  try {
    for (const plugin of methods) {
      client.addMethod(plugin.name, plugin.method, plugin.override);
      added.push(plugin);
    }
  } catch (error) {
    removeMethods(client, added);
    for (const { name, method } of earlier) {
      client.addMethod(name, method, true);
    }
    throw error;
  }
  pluginMethods.set(client, methods);
}

function removeMethods(client, methods) {
  for (const { name } of methods) {
    delete client[name];
    delete client._dynamicMethods[name];
  }
}

module.exports = { clientFromJsonConfig, getGlobalConfig, resolveName };
