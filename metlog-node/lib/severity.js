// How bad it is: RFC 5424, section 6.2.1.
'use strict';

const SEVERITY = {
  EMERGENCY: 0,
  ALERT: 1,
  CRITICAL: 2,
  ERROR: 3,
  WARNING: 4,
  NOTICE: 5,
  INFORMATIONAL: 6,
  DEBUG: 7,
};

/** True for what a message can carry as its severity. */
function isSeverity(value) {
  return Number.isInteger(value) && value >= SEVERITY.EMERGENCY && value <= SEVERITY.DEBUG;
}

module.exports = { SEVERITY, isSeverity };
