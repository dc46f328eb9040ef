// The client of Metlog for Node: messages, counters and timers that cost the application almost nothing.
'use strict';

const { MetlogClient } = require('./lib/client.js');
const { captureUncaught } = require('./lib/capture.js');
const { clientFromJsonConfig } = require('./lib/config.js');
const { configure, getClient } = require('./lib/configure.js');
const { bind } = require('./lib/context.js');
const { counter, gauge, timer } = require('./lib/late.js');
const { SEVERITY } = require('./lib/severity.js');
const { IsoDateString } = require('./lib/timestamp.js');

module.exports = {
  MetlogClient,
  bind,
  captureUncaught,
  clientFromJsonConfig,
  configure,
  counter,
  gauge,
  getClient,
  timer,
  SEVERITY,
  IsoDateString,
};
