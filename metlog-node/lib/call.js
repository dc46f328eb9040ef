// One call of a client, with its defaults filled in: what filters see and what both paths to a sender start from.
'use strict';

const os = require('node:os');

const { toText } = require('./timestamp.js');

const ENV_VERSION = '0.8';

/** As the core, asked for once: comparing with a text of its own, or looking into `process`, costs more than all the rest. */
const HOSTNAME = os.hostname();
const PID = process.pid;

const NO_OPTIONS = Object.freeze({});

/** True for what can be a message's `fields`: values by name, not a list or bytes, which may have millions of them. */
function isObject(value) {
  return typeof value === 'object' && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** One option of a caller; one that cannot be read is not given. */
function optionOf(options, name) {
  try {
    return options?.[name];
  } catch {
    return undefined;
  }
}

/** A metric's rate as a number: 1 unless given. */
function rateOf(rate) {
  return typeof rate === 'number' && !Number.isNaN(rate) ? Math.min(Math.max(rate, 0), 1) : 1;
}

/** Throws the dice for one call. */
function sampled(rate) {
  return rate >= 1 || Math.random() < rate;
}

/** The call: the caller's options over the client's defaults, under `own`, which the kind of call decides. */
function callOf(client, type, options, own) {
  const given = options ?? NO_OPTIONS;
  const { timestamp, logger, severity, payload, fields, pid, hostname } = given;
  return {
    type,
    timestamp: timestamp ?? undefined,
    logger: logger === undefined ? client.logger : logger,
    severity: own?.severity ?? (severity === undefined ? client.severity : severity),
    payload: own?.payload ?? (payload === undefined ? '' : payload),
    fields,
    pid: pid ?? unusual(client.pid, PID),
    hostname: hostname ?? unusual(client.hostname, HOSTNAME),
    name: own?.name,
    rate: own?.rate,
  };
}

/** What an application has set on its client; nothing where it is what senders say themselves. */
function unusual(value, usual) {
  return value === usual || value === null ? undefined : value;
}

/** A copy of a call's fields. What is no object goes where misfits go. */
function fieldsOf(given) {
  return given === undefined || isObject(given) ? { ...given } : { original: { fields: given } };
}

/** The call as the message object of nine keys that senders and filters written in JavaScript get. */
function messageOf(call) {
  const fields = fieldsOf(call.fields);
  if (call.name !== undefined) {
    fields.name = call.name;
    fields.rate = call.rate;
  }
  return {
    type: call.type,
    timestamp: toText(call.timestamp),
    logger: call.logger,
    severity: call.severity,
    payload: call.payload,
    fields,
    env_version: ENV_VERSION,
    metlog_pid: call.pid ?? PID,
    metlog_hostname: call.hostname ?? HOSTNAME,
  };
}

/** The call that such a message object stands for. */
function callOfMessage(message) {
  const { type, timestamp, logger, severity, payload, fields } = message;
  const { metlog_pid: pid, metlog_hostname: hostname } = message;
  return { type, timestamp, logger, severity, payload, fields, pid, hostname };
}

module.exports = {
  HOSTNAME,
  PID,
  callOf,
  callOfMessage,
  fieldsOf,
  isObject,
  messageOf,
  optionOf,
  rateOf,
  sampled,
};
