// Exceptions for a Sentry project: the plugin that binds a client's `sendException` to the project's address.
'use strict';

const native = require('./native.js');
const { isObject } = require('./call.js');
const { settingsOf } = require('./collection.js');
const { metlogError } = require('./errors.js');

const SETTINGS = ['dsn', 'logger', 'severity', 'sentry_project_id'];

/** A method `raven(msg, error, options)` whose messages carry these settings; without an error it sends nothing. */
function configPlugin(settings) {
  const [dsn, logger, severity] = settingsOf(settings, SETTINGS);
  if (dsn !== undefined) {
    check(dsn);
  }
  const defaults = { dsn, logger, severity };
  return function raven(msg, error, options) {
    if (error !== undefined && error !== null) {
      this.sendException(error, { ...defaults, ...(isObject(options) ? options : {}), msg });
    }
  };
}

function check(dsn) {
  try {
    native.checkDsn(dsn);
  } catch (error) {
    throw metlogError('config', error.message, error);
  }
}

module.exports = { configPlugin };
