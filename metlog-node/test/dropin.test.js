// What applications written for the original count on: names, defaults, and what each call does with what it is given.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { MetlogClient, SEVERITY, clientFromJsonConfig } = require('metlog');
const { resolveName } = require('metlog/config');
const { jsonEncoder, msgpackEncoder } = require('metlog/senders/encoders');
const { run } = require('./support.js');

/** A client whose sender keeps the message objects as they are. */
function client(...settings) {
  const messages = [];
  return {
    client: new MetlogClient({ sendMessage: (message) => messages.push(message) }, ...settings),
    messages,
  };
}

const MESSAGE = {
  type: 'services',
  timestamp: '2012-10-30T20:00:00.000000Z',
  logger: 'app',
  severity: 6,
  payload: 'é',
  fields: { a: [1, null, 'x'] },
  env_version: '0.8',
  metlog_pid: 7,
  metlog_hostname: 'host',
};

const DEFAULTS = { logger: '', severity: 6, disabledTimers: [], filters: [] };

function shown({ logger, severity, disabledTimers, filters }) {
  return { logger, severity, disabledTimers, filters };
}

test('a client has the defaults of the original, and setup sets all of them again', () => {
  const sender = { sendMessage() {} };
  const plain = new MetlogClient(sender);
  assert.deepEqual(shown(plain), DEFAULTS);
  assert.deepEqual([plain.sender, plain._dynamicMethods], [sender, {}]);
  const keep = () => true;
  const given = new MetlogClient(sender, 'app', 3, ['slow'], [keep]);
  assert.deepEqual(shown(given), { logger: 'app', severity: 3, disabledTimers: ['slow'], filters: [keep] });
  given.addMethod('plugin', keep);
  given.setup(plain.sender);
  assert.deepEqual(shown(given), DEFAULTS);
  assert.equal(given.plugin, keep);
});

test('severities have the names of RFC 5424', () => {
  const names = ['EMERGENCY', 'ALERT', 'CRITICAL', 'ERROR', 'WARNING', 'NOTICE', 'INFORMATIONAL', 'DEBUG'];
  assert.deepEqual(
    Object.entries(SEVERITY),
    Object.entries(Object.fromEntries(names.map((name, index) => [name, index]))),
  );
});

/** What a call gives, and what of its message is looked at. */
const CALLS = [
  ['logger undefined', (c) => c.metlog('t', { logger: undefined }), { logger: 'app' }],
  ['logger empty', (c) => c.metlog('t', { logger: '' }), { logger: '' }],
  ['severity 0', (c) => c.metlog('t', { severity: 0 }), { severity: 0 }],
  ['any severity', (c) => c.metlog('t', { severity: 99 }), { severity: 99 }],
  ['any payload', (c) => c.metlog('t', { payload: { a: 1 } }), { payload: { a: 1 } }],
  ['a payload of 0', (c) => c.metlog('t', { payload: 0 }), { payload: 0 }],
  [
    'no options',
    (c) => c.metlog('t'),
    { payload: '', fields: {}, env_version: '0.8', metlog_pid: process.pid },
  ],
  [
    'pid and hostname',
    (c) => c.metlog('t', { pid: 1, hostname: 'h' }),
    { metlog_pid: 1, metlog_hostname: 'h' },
  ],
  ['a timestamp as text', (c) => c.metlog('t', { timestamp: 'noon' }), { timestamp: 'noon' }],
  [
    'a timestamp as a Date',
    (c) => c.metlog('t', { timestamp: new Date(0) }),
    { timestamp: '1970-01-01T00:00:00.000000Z' },
  ],
  ['incr', (c) => c.incr('n'), { type: 'counter', payload: '1', fields: { name: 'n', rate: 1 } }],
  ['incr by -3', (c) => c.incr('n', { count: -3 }), { payload: '-3' }],
  ['incr by 2.5', (c) => c.incr('n', { count: 2.5 }), { payload: '2.5' }],
  ['incr by 0', (c) => c.incr('n', { count: 0 }), { payload: '0' }],
  ['incr with fields', (c) => c.incr('n', { fields: { a: 1 } }), { fields: { a: 1, name: 'n', rate: 1 } }],
  ['incr never', (c) => c.incr('n', {}, 0), undefined],
  ['incr never by options', (c) => c.incr('n', { rate: 0 }), undefined],
  ['incr, the argument before the options', (c) => c.incr('n', { rate: 0 }, 1), { payload: '1' }],
  [
    'timer_send',
    (c) => c.timer_send(12.4, 'n'),
    { type: 'timer', payload: '12', fields: { name: 'n', rate: 1 } },
  ],
  ['timer_send of 0', (c) => c.timer_send(0, 'n'), { payload: '0' }],
  ['timer_send never', (c) => c.timer_send(12, 'n', { rate: 0 }), undefined],
  ['timer', (c) => c.timer(() => 0, 'n')(), { type: 'timer', fields: { name: 'n', rate: 1 } }],
  ['timer never', (c) => c.timer(() => 0, 'n', { rate: 0 })(), undefined],
  ['a log of undefined', (c) => c.info(undefined), { type: 'oldstyle', payload: 'undefined' }],
  ['a log of null', (c) => c.info(null), { payload: 'null' }],
  ['a log of an error', (c) => c.error(new TypeError('x')), { severity: 3, payload: 'TypeError: x' }],
  ['a log of an object', (c) => c.debug({}), { severity: 7, payload: '[object Object]' }],
  ['a log with fields', (c) => c.warn('x', { fields: { a: 1 } }), { severity: 4, fields: { a: 1 } }],
  ['a log with a logger', (c) => c.critical('x', { logger: 'l' }), { severity: 2, logger: 'l' }],
  ['exception', (c) => c.exception('x'), { type: 'oldstyle', severity: 1, payload: 'x' }],
];

for (const [name, call, expected] of CALLS) {
  test(`${name}: the message of the original`, () => {
    const { client: made, messages } = client('app');
    call(made);
    const [message] = messages;
    const looked = expected === undefined ? undefined : Object.keys(expected);
    assert.deepEqual(looked && Object.fromEntries(looked.map((key) => [key, message[key]])), expected);
  });
}

test('every key of a configuration does what it did', () => {
  const made = clientFromJsonConfig(
    JSON.stringify({
      sender: { factory: 'metlog/senders:memorySenderFactory', queueLength: 5 },
      logger: 'app',
      severity: 3,
      disabledTimers: ['slow'],
      filters: [['metlog/filters:severityMaxProvider', { severity: 5 }]],
      plugins: { cef: { provider: 'metlog/cef:configPlugin', override: true, syslog_ident: 'me' } },
      global: { a: 1 },
    }),
  );
  assert.deepEqual([made.logger, made.severity, made.disabledTimers], ['app', 3, ['slow']]);
  made.info('filtered');
  made.metlog('t');
  assert.deepEqual(
    made.sender.messages.map(({ type }) => type),
    ['t'],
  );
  assert.deepEqual([made.cef.cef_meta.syslog_ident, made.filters.length], ['me', 1]);
});

/** Names as configurations have them: absolute, and as seen from the package's folder. */
const RESOLVED = {
  './senders:memorySenderFactory': () => require('metlog/senders').memorySenderFactory,
  './senders/encoders:jsonEncoder': () => jsonEncoder,
  './filters:severityMaxProvider': () => require('metlog/filters').severityMaxProvider,
  './config:clientFromJsonConfig': () => clientFromJsonConfig,
  './index:SEVERITY': () => SEVERITY,
  './lib/severity.js:SEVERITY': () => SEVERITY,
  'metlog:MetlogClient': () => MetlogClient,
  'metlog/senders/encoders:msgpackEncoder': () => msgpackEncoder,
};

for (const [name, expected] of Object.entries(RESOLVED)) {
  test(`the name ${name} resolves from the package`, () => {
    assert.equal(resolveName(name), expected());
  });
}

test('a configuration may name what the package has by relative names', () => {
  const made = clientFromJsonConfig({
    sender: { factory: './senders:memorySenderFactory' },
    filters: [['./filters:typeBlacklistProvider', { types: { noise: 1 } }]],
  });
  made.metlog('noise');
  made.metlog('kept');
  assert.deepEqual(
    made.sender.messages.map(({ type }) => type),
    ['kept'],
  );
});

test('encoders give a message as JSON and as MessagePack', () => {
  const line =
    '{"type":"services","timestamp":"2012-10-30T20:00:00.000000Z","logger":"app","severity":6,"payload":"é",' +
    '"fields":{"a":[1,null,"x"]},"env_version":"0.8","metlog_pid":7,"metlog_hostname":"host"}\n';
  assert.equal(jsonEncoder(MESSAGE), line);
  const packed = msgpackEncoder({ a: [1, -1, 2.5, 'é', null, true], b: {} });
  const expected = [
    ...[0x82, 0xa1, 0x61, 0x96, 1, 0xff, 0xcb, 0x40, 4, 0, 0, 0, 0, 0, 0],
    ...[0xa2, 0xc3, 0xa9, 0xc0, 0xc3, 0xa1, 0x62, 0x80],
  ];
  assert.deepEqual([...packed], expected);
  const cyclic = { a: '\ud800', big: 7n };
  cyclic.self = cyclic;
  const read = { a: '\ufffd', big: 7, self: '[circular]' };
  assert.deepEqual(JSON.parse(jsonEncoder(cyclic)), read);
  assert.ok(msgpackEncoder({ a: '\ud800' }).includes(Buffer.from('\ufffd')));
});

for (const [encoder, start] of [
  ["'metlog/senders/encoders:jsonEncoder'", '{"type":"services"'],
  ["require('metlog/senders/encoders').msgpackEncoder", '\ufffd\ufffdtype\ufffdservices'],
  ["({ type }) => type + '!'", 'services!\n'],
]) {
  test(`stdout writes what ${encoder} makes of a message`, async () => {
    const source = `
      const { MetlogClient } = require('metlog');
      const { stdoutSenderFactory } = require('metlog/senders');
      new MetlogClient(stdoutSenderFactory({ encoder: ${encoder} }), 'app').metlog('services');`;
    const { stdout, stderr } = await run(source);
    assert.equal(stderr, '');
    assert.ok(stdout.startsWith(start), stdout);
    assert.ok(!stdout.includes('\n\n'), stdout);
  });
}
