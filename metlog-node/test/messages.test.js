// Every call and the message it sends.
'use strict';

const assert = require('node:assert/strict');
const os = require('node:os');
const test = require('node:test');
const vm = require('node:vm');

const { IsoDateString, MetlogClient, SEVERITY } = require('metlog');
const { NINE_KEYS, memoryClient } = require('./support.js');

const SIX_DIGITS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

const CALLS = [
  ['metlog', (c, o) => c.metlog('services', o), ['services', 6, '']],
  ['incr', (c, o) => c.incr('n', o), ['counter', 6, '1']],
  ['incr with a count', (c, o) => c.incr('n', { ...o, count: 2.5 }), ['counter', 6, '2.5']],
  ['gauge', (c, o) => c.gauge('n', 3, o), ['gauge', 6, '3']],
  ['timer', (c, o) => c.timer(() => 0, 'n', o)(), ['timer', 6, '0']],
  ['timer_send', (c, o) => c.timer_send(1.6, 'n', o), ['timer', 6, '2']],
  ['debug', (c, o) => c.debug('x', o), ['oldstyle', 7, 'x']],
  ['info', (c, o) => c.info('x', o), ['oldstyle', 6, 'x']],
  ['notice', (c, o) => c.notice('x', o), ['oldstyle', 5, 'x']],
  ['warn', (c, o) => c.warn('x', o), ['oldstyle', 4, 'x']],
  ['warning', (c, o) => c.warning('x', o), ['oldstyle', 4, 'x']],
  ['error', (c, o) => c.error('x', o), ['oldstyle', 3, 'x']],
  ['critical', (c, o) => c.critical('x', o), ['oldstyle', 2, 'x']],
  ['alert', (c, o) => c.alert('x', o), ['oldstyle', 1, 'x']],
  ['exception', (c, o) => c.exception('x', o), ['oldstyle', 1, 'x']],
  ['emergency', (c, o) => c.emergency('x', o), ['oldstyle', 0, 'x']],
];

for (const [name, call, expected] of CALLS) {
  test(`${name} sends the nine keys and leaves its options alone`, () => {
    const { client, sender } = memoryClient();
    const options = Object.freeze({
      fields: Object.freeze({ userid: 25, nested: Object.freeze({ a: [1] }) }),
    });
    for (const given of [undefined, null, options]) {
      call(client, given);
    }
    const messages = sender.messages;
    assert.equal(messages.length, 3);
    for (const message of messages) {
      assert.deepEqual(Object.keys(message), NINE_KEYS);
      assert.deepEqual([message.type, message.severity, message.payload], expected);
      assert.match(message.timestamp, SIX_DIGITS);
      assert.deepEqual([message.logger, message.env_version], ['app', '0.8']);
      assert.deepEqual([message.metlog_pid, message.metlog_hostname], [process.pid, os.hostname()]);
    }
    assert.equal(messages[0].fields.userid, undefined);
    assert.equal(messages[2].fields.userid, 25);
    assert.deepEqual(messages[2].fields.nested, { a: [1] });
    if (['counter', 'gauge', 'timer'].includes(expected[0])) {
      assert.deepEqual([messages[2].fields.name, messages[2].fields.rate], ['n', 1]);
    }
    assert.deepEqual(client.stats().refused, {});
  });
}

test('options go over the defaults', () => {
  const { client, sender } = memoryClient();
  const options = {
    logger: '',
    severity: 0,
    payload: { k: [1] },
    pid: 1,
    hostname: 'h',
    timestamp: new Date(0),
  };
  client.metlog('a', options);
  const [message] = sender.messages;
  assert.deepEqual([message.logger, message.severity, message.payload], ['', 0, { k: [1] }]);
  assert.deepEqual([message.metlog_pid, message.metlog_hostname], [1, 'h']);
  assert.equal(message.timestamp, '1970-01-01T00:00:00.000000Z');
});

test('one options object used again never repeats a timestamp', () => {
  const { client, sender } = memoryClient();
  const options = {};
  client.metlog('a', options);
  const before = Date.now();
  while (Date.now() === before) {}
  client.metlog('a', options);
  const [one, two] = sender.messages;
  assert.notEqual(one.timestamp, two.timestamp);
  assert.deepEqual(options, {});
});

const TIMESTAMPS = [
  ['a date', new Date(1333140315123), '2012-03-30T20:45:15.123000Z'],
  ['milliseconds', 1333140315123.5, '2012-03-30T20:45:15.123500Z'],
  ['a text', '2012-03-30T22:45:15.123456+02:00', '2012-03-30T20:45:15.123456Z'],
];

for (const [name, timestamp, expected] of TIMESTAMPS) {
  test(`a timestamp may be ${name}`, () => {
    const { client, sender } = memoryClient();
    client.metlog('a', { timestamp });
    assert.equal(sender.messages[0].timestamp, expected);
  });
}

test('a timestamp of null is none, and what is no date is now', () => {
  const seen = [];
  const { client: core, sender } = memoryClient();
  const own = new MetlogClient({ sendMessage: (message) => seen.push(message) });
  for (const timestamp of [null, true, []]) {
    core.metlog('a', { timestamp });
    own.metlog('a', { timestamp });
  }
  const year = String(new Date().getUTCFullYear());
  for (const { timestamp } of [...sender.messages, ...seen]) {
    assert.match(timestamp, SIX_DIGITS);
    assert.equal(timestamp.slice(0, 4), year);
  }
  assert.deepEqual(sender.messages[0].fields, {});
});

test('a Date of another context is a date', () => {
  const { client, sender } = memoryClient();
  client.metlog('a', { timestamp: vm.runInNewContext('new Date(0)') });
  assert.equal(sender.messages[0].timestamp, '1970-01-01T00:00:00.000000Z');
});

test('what does not fit its column is kept under fields.original', () => {
  const cases = [
    [{ severity: 99 }, { severity: 99 }],
    [{ severity: 'x' }, { severity: 'x' }],
    [{ timestamp: 'noon' }, { timestamp: 'noon' }],
    [{ timestamp: true }, { timestamp: true }],
    [{ timestamp: 1e300 }, { timestamp: 2 ** 63 }],
    [{ logger: 7 }, { logger: 7 }],
    [
      { pid: 'p', hostname: 8 },
      { metlog_pid: 'p', metlog_hostname: 8 },
    ],
    [{ fields: [1] }, { fields: [1] }],
    [{ fields: 'text' }, { fields: 'text' }],
  ];
  const { client, sender } = memoryClient();
  for (const [options] of cases) {
    client.metlog('a', options);
  }
  const kept = sender.messages.map(({ fields }) => fields.original);
  assert.deepEqual(
    kept,
    cases.map(([, original]) => original),
  );
  for (const { severity, logger, timestamp } of sender.messages) {
    assert.deepEqual([severity, logger], [6, 'app']);
    assert.match(timestamp, SIX_DIGITS);
  }
});

test('clients that share a sender keep their own defaults', () => {
  const { client, sender } = memoryClient('one', 3);
  const other = new MetlogClient(sender, 'two', 5);
  client.metlog('a');
  other.metlog('a');
  client.setup(sender, 'three', 1);
  client.metlog('a');
  const seen = sender.messages.map(({ logger, severity }) => [logger, severity]);
  assert.deepEqual(seen, [
    ['one', 3],
    ['two', 5],
    ['three', 1],
  ]);
});

test('a rate sends its share and tells it', () => {
  const { client, sender } = memoryClient();
  const calls = [
    (rate) => client.incr('n', { rate }),
    (rate) => client.incr('n', undefined, rate),
    (rate) => client.gauge('n', 1, { rate }),
    (rate) => client.timer_send(1, 'n', { rate }),
    (rate) => client.timer(() => 0, 'n', { rate })(),
  ];
  for (const call of calls) {
    const before = client.stats().attempted;
    for (let n = 0; n < 2000; n += 1) {
      call(0.1);
      call(0);
    }
    const sent = client.stats().attempted - before;
    assert.ok(sent > 100 && sent < 400, `${call}: ${sent}`);
  }
  assert.ok(sender.messages.every(({ fields }) => fields.rate === 0.1));
});

test('the names of the originals are there', () => {
  assert.deepEqual([SEVERITY.EMERGENCY, SEVERITY.INFORMATIONAL, SEVERITY.DEBUG], [0, 6, 7]);
  assert.equal(IsoDateString(new Date(1333140315123)), '2012-03-30T20:45:15Z');
});
