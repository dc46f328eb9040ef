// The methods that log a text, one for each level.
'use strict';

const { text } = require('./plain.js');
const { say } = require('./sending.js');
const { SEVERITY } = require('./severity.js');

const SEVERITIES = {
  debug: SEVERITY.DEBUG,
  info: SEVERITY.INFORMATIONAL,
  notice: SEVERITY.NOTICE,
  warn: SEVERITY.WARNING,
  warning: SEVERITY.WARNING,
  error: SEVERITY.ERROR,
  critical: SEVERITY.CRITICAL,
  alert: SEVERITY.ALERT,
  /** As the originals did, at the severity of an alert. */
  exception: SEVERITY.ALERT,
  emergency: SEVERITY.EMERGENCY,
};

/** Methods by name. */
const levels = {};

for (const [name, severity] of Object.entries(SEVERITIES)) {
  levels[name] = function log(message, options) {
    say(this, 'oldstyle', options, { severity, payload: text(message) });
  };
}

module.exports = { levels };
