// Security events: a request and what happened, as the options of a `cef` message.
'use strict';

const native = require('./native.js');
const { optionOf } = require('./call.js');
const { text } = require('./plain.js');
const { currentRequest } = require('./request.js');

/** What a line says about a request, by the names of a WSGI environment. */
const ENVIRON = [
  'REQUEST_METHOD',
  'PATH_INFO',
  'HTTP_USER_AGENT',
  'HTTP_HOST',
  'HTTP_X_FORWARDED_FOR',
  'REMOTE_ADDR',
];

/** What a line says about who reports. */
const CONFIG = ['cef.version', 'cef.vendor', 'cef.product', 'cef.device_version'];

/** What a syslog is told where nobody has set anything. */
const NO_META = Object.freeze(JSON.parse(native.cefMeta({})));

/** The options of the message that tells about an event. */
function cefOf({ name, severity, request, config }, options) {
  const { username = 'none', signature, extras, meta = NO_META } = options ?? {};
  const timestamp = Date.now();
  const line = native.cefLine({
    name: text(name),
    severity: text(severity),
    signature: signature === undefined || signature === null ? undefined : text(signature),
    username: text(username),
    environ: environOf(request ?? currentRequest()),
    config: pick(config, CONFIG),
    extras: Object.fromEntries(Object.entries(extras ?? {}).map(([key, value]) => [text(key), text(value)])),
    timestamp,
  });
  return { timestamp, payload: line, fields: { cef_meta: meta } };
}

/** A request of Node, or of a framework upon it, as a WSGI environment; one that is an environment stays it. */
function environOf(request) {
  if (optionOf(request, 'REQUEST_METHOD') !== undefined) {
    return pick(request, ENVIRON);
  }
  const headers = optionOf(request, 'headers');
  // Frameworks take what they have routed by off `url`.
  const url = optionOf(request, 'originalUrl') ?? optionOf(request, 'url');
  const named = {
    REQUEST_METHOD: optionOf(request, 'method'),
    PATH_INFO: typeof url === 'string' ? url.split('?', 1)[0] : undefined,
    HTTP_USER_AGENT: optionOf(headers, 'user-agent'),
    HTTP_HOST: optionOf(headers, 'host'),
    HTTP_X_FORWARDED_FOR: optionOf(headers, 'x-forwarded-for'),
    REMOTE_ADDR: optionOf(optionOf(request, 'socket'), 'remoteAddress'),
  };
  return pick(named, ENVIRON);
}

/** Those of the properties that are there, as texts. */
function pick(object, names) {
  const found = names.map((name) => [name, optionOf(object, name)]);
  return Object.fromEntries(
    found
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, text(value)]),
  );
}

module.exports = { cefOf };
