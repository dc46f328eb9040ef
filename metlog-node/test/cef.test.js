// Security events as `cef` messages.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const os = require('node:os');
const test = require('node:test');

const { MetlogClient } = require('metlog');
const cef = require('metlog/cef');

const { memoryClient } = require('./support.js');

const CONFIG = {
  'cef.version': 0,
  'cef.vendor': 'Example',
  'cef.product': 'bookmarks',
  'cef.device_version': '1.3',
  other: 'not looked at',
};

const NO_META = {
  syslog_options: null,
  syslog_facility: null,
  syslog_ident: null,
  syslog_priority: null,
};

const ENVIRON = {
  REQUEST_METHOD: 'POST',
  PATH_INFO: '/login',
  HTTP_USER_AGENT: 'curl/8',
  HTTP_HOST: 'example.org',
  HTTP_X_FORWARDED_FOR: '1.2.3.4, 10.0.0.1',
  REMOTE_ADDR: '10.0.0.2',
};

/** A line without its date and host. */
const afterHost = (line) => line.slice(line.indexOf(' CEF:') + 1);

const HEADER = 'CEF:0|Example|bookmarks|1.3|Login failed|Login failed|5|cs1Label=requestClientApplication';

test('an event is a cef message whose payload is the line that is given back', () => {
  const { client, sender } = memoryClient();
  const line = client.cef('Login failed', 5, ENVIRON, CONFIG, { username: 'jane' });
  const [{ type, severity, payload, fields, timestamp }] = sender.messages;
  assert.deepEqual([type, severity, payload], ['cef', 6, line]);
  assert.deepEqual(fields, { cef_meta: NO_META });
  assert.match(line, /^[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ CEF:0\|/);
  assert.equal(line.split(' ')[3], os.hostname());
  const at = new Date(timestamp);
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  );
  assert.equal(line.split(' ')[2], clock.join(':'));
  assert.equal(
    afterHost(line),
    `${HEADER} cs1=curl/8 requestMethod=POST request=/login src=1.2.3.4 dhost=example.org suser=jane`,
  );
});

const NOBODY = `${HEADER} cs1=none requestMethod= request= src=None dhost=none suser=none`;

/** What is given as the request and the options, and the line's text after the host. */
const LINES = [
  ['no request', null, undefined, NOBODY],
  ['a request that is undefined', undefined, null, NOBODY],
  ['a request that says nothing', {}, {}, NOBODY],
  [
    'a request of Node',
    { method: 'GET', url: '/a?password=x', headers: { host: 'h' }, socket: { remoteAddress: '::1' } },
    undefined,
    `${HEADER} cs1=none requestMethod=GET request=/a src=::1 dhost=h suser=none`,
  ],
  [
    'a request that a framework has routed',
    { method: 'GET', url: '/a', originalUrl: '/mounted/a' },
    undefined,
    `${HEADER} cs1=none requestMethod=GET request=/mounted/a src=None dhost=none suser=none`,
  ],
  ['a signature', null, { signature: cef.AUTH_FAILURE }, NOBODY.replace('Login failed', 'AuthFail')],
  [
    'more keys, and one that is not allowed',
    null,
    { extras: { try: 3, cs1: 'reserved', 'a key': null } },
    `${NOBODY} try=3 a?key=null`,
  ],
  [
    'a user who forges a key and a line',
    null,
    { username: 'jane src=1.1.1.1\nJan 01 CEF:0|' },
    NOBODY.replace('suser=none', 'suser=jane src\\=1.1.1.1\\nJan 01 CEF:0|'),
  ],
  ['a lone surrogate', null, { username: '\ud800' }, NOBODY.replace('suser=none', 'suser=\ufffd')],
];

for (const [name, request, options, expected] of LINES) {
  test(`the line of ${name}`, () => {
    const { client } = memoryClient();
    assert.equal(afterHost(client.cef('Login failed', 5, request, CONFIG, options)), expected);
  });
}

test('a request over HTTP is one', async (t) => {
  const { client, sender } = memoryClient();
  const server = http.createServer((request, response) => {
    client.cef('Login failed', 'High', request, CONFIG);
    response.end();
  });
  t.after(() => server.close());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/login?user=jane`;
  await fetch(url, { method: 'POST', headers: { 'User-Agent': 'a|b=c', Connection: 'close' } });
  const [{ payload }] = sender.messages;
  const { host } = new URL(url);
  assert.ok(payload.includes('|High|cs1Label='), payload);
  assert.ok(
    payload.includes(` cs1=a|b\\=c requestMethod=POST request=/login src=127.0.0.1 dhost=${host} suser=none`),
    payload,
  );
});

test('a sender written in JavaScript and filters get the message', () => {
  const seen = [];
  const client = new MetlogClient({ sendMessage: (message) => seen.push(message) }, 'app', 4);
  const line = client.cef('Login failed', 5, null, CONFIG);
  assert.deepEqual([seen[0].type, seen[0].severity, seen[0].payload], ['cef', 4, line]);
  assert.deepEqual(seen[0].fields, { cef_meta: NO_META });
  client.filters = [() => false];
  client.cef('Login failed', 5, null, CONFIG);
  assert.deepEqual([seen.length, client.stats().refused], [1, { filtered: 1 }]);
});

const refuse = () => {
  throw new Error('no');
};
const hostile = new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse });

test('a request that throws says nothing, and the event is sent', () => {
  const { client } = memoryClient();
  assert.equal(afterHost(client.cef('Login failed', 5, hostile, CONFIG)), NOBODY);
  assert.equal(
    afterHost(client.cef('Login failed', 5, { method: { toString: refuse }, headers: hostile }, CONFIG)),
    NOBODY.replace('requestMethod=', 'requestMethod=[unreadable]'),
  );
});

/** Arguments of calls that cannot be made sense of. */
const REFUSED = [
  ['no configuration', ['x', 5, null, undefined]],
  ['a configuration without the vendor', ['x', 5, null, { ...CONFIG, 'cef.vendor': undefined }]],
  ['options that throw', ['x', 5, null, CONFIG, hostile]],
  ['extras that throw', ['x', 5, null, CONFIG, { extras: hostile }]],
];

for (const [name, args] of REFUSED) {
  test(`${name}: the event is refused and counted, and nothing is thrown`, () => {
    const { client, sender } = memoryClient();
    assert.equal(client.cef(...args), '');
    client.cef('next', 5, null, CONFIG);
    assert.deepEqual(client.stats().refused, { encode: 1 });
    assert.equal(sender.messages.length, 1);
  });
}

test('the plugin tells the syslog what it was made with', () => {
  const { client, sender } = memoryClient();
  const settings = { syslog_facility: 'LOCAL4', syslog_options: 'PID, PERROR', syslog_ident: null };
  client.addMethod('cef', cef.configPlugin(settings));
  const line = client.cef(cef.ACCOUNT_LOCKED, 9, ENVIRON, CONFIG, { username: 'jane' });
  const meta = { ...NO_META, syslog_facility: 'LOCAL4', syslog_options: 'PID,LOG_PERROR' };
  assert.deepEqual(client.cef.cef_meta, meta);
  assert.deepEqual(sender.messages[0].fields, { cef_meta: meta });
  assert.equal(sender.messages[0].payload, line);
});

test('a setting of the plugin that is wrong is an error that names it', () => {
  for (const [settings, message] of [
    [{ syslog_facility: 'LOCAL8' }, /^syslog_facility has "LOCAL8", expected one of KERN/],
    [{ syslog_options: 'PID;CONS' }, /^syslog_options has "PID;CONS"/],
    [{ syslog_priority: 'ERROR' }, /^syslog_priority has "ERROR"/],
    [{ syslog_priority: 7 }, /syslog_priority|string/i],
    [{ facility: 'LOCAL4' }, /^unexpected settings \[facility\], expected some of syslog_options/],
  ]) {
    assert.throws(() => cef.configPlugin(settings), { code: 'config', message });
  }
});
