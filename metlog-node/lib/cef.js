// Security events for a syslog: the plugin that binds a client's `cef` to settings, and the usual signatures.
'use strict';

const native = require('./native.js');
const { MetlogClient } = require('./client.js');
const { settingsOf } = require('./collection.js');
const { metlogError } = require('./errors.js');

const SETTINGS = ['syslog_options', 'syslog_facility', 'syslog_ident', 'syslog_priority'];

// The usual signatures.
const AUTH_FAILURE = 'AuthFail';
const CAPTCHA_FAILURE = 'CaptchaFail';
const OVERRIDE_FAILURE = 'InvalidAdmin';
const ACCOUNT_LOCKED = 'AccountLockout';
const PASSWD_RESET_CLR = 'PasswordResetCleared';

/** A method `cef` whose messages carry these settings for the syslog. */
function configPlugin(settings) {
  const meta = metaOf(settingsOf(settings, SETTINGS));
  function cef(name, severity, request, config, options) {
    return MetlogClient.prototype.cef.call(this, name, severity, request, config, { ...options, meta });
  }
  cef.cef_meta = meta;
  return cef;
}

function metaOf([options, facility, ident, priority]) {
  try {
    return Object.freeze(JSON.parse(native.cefMeta({ options, facility, ident, priority })));
  } catch (error) {
    throw metlogError('config', error.message, error);
  }
}

// Short-hand names only: Node finds no others for `import`.
module.exports = {
  configPlugin,
  AUTH_FAILURE,
  CAPTCHA_FAILURE,
  OVERRIDE_FAILURE,
  ACCOUNT_LOCKED,
  PASSWD_RESET_CLR,
};
