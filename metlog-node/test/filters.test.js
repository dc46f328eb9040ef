// What a client keeps from leaving.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const filters = require('metlog/filters');
const { memoryClient } = require('./support.js');

const CASES = [
  ['severity', filters.severityMaxProvider({ severity: 4 }), ['a3', 'b3']],
  ['severity as text', filters.severityMaxProvider({ severity: '4' }), ['a3', 'b3']],
  ['blacklist, array', filters.typeBlacklistProvider({ types: ['a'] }), ['b3', 'b6', 'toString6']],
  ['blacklist, object', filters.typeBlacklistProvider({ types: { a: 1 } }), ['b3', 'b6', 'toString6']],
  ['whitelist, set', filters.typeWhitelistProvider({ types: new Set(['a']) }), ['a3', 'a6']],
  ['whitelist, text', filters.typeWhitelistProvider({ types: 'a' }), ['a3', 'a6']],
  ['whitelist, object', filters.typeWhitelistProvider({ types: {} }), []],
  [
    'per type',
    filters.typeSeverityMaxProvider({ types: { a: { severity: 4 } } }),
    ['a3', 'b3', 'b6', 'toString6'],
  ],
  [
    'type, given as a map',
    filters.typeSeverityMaxProvider({ types: new Map([['a', { severity: 4 }]]) }),
    ['a3', 'b3', 'b6', 'toString6'],
  ],
  [
    'share, given as a map',
    filters.typeRateProvider({ types: new Map([['a', 0]]) }),
    ['b3', 'b6', 'toString6'],
  ],
  ['own', (message) => message.fields.keep, ['a3', 'a6']],
];

for (const [name, filter, expected] of CASES) {
  test(`filter by ${name}`, () => {
    const { client, sender } = memoryClient('app', 6, [], [filter]);
    for (const [type, severity] of [
      ['a', 3],
      ['a', 6],
      ['b', 3],
      ['b', 6],
      ['toString', 6],
    ]) {
      client.metlog(type, { severity, fields: { keep: type === 'a' } });
    }
    const seen = sender.messages.map(({ type, severity }) => `${type}${severity}`);
    assert.deepEqual(seen, expected);
    const { attempted, refused } = client.stats();
    assert.deepEqual([attempted, refused.filtered ?? 0], [5, 5 - expected.length]);
  });
}

test('a filter that throws drops the message, counted, and the application goes on', () => {
  const boom = (message) => message.type !== 'boom' || message.no.such;
  const { client, sender } = memoryClient('app', 6, [], [boom]);
  client.metlog('boom');
  client.metlog('kept');
  assert.deepEqual(client.stats().refused, { filter_error: 1 });
  assert.deepEqual(
    sender.messages.map(({ type }) => type),
    ['kept'],
  );
});

test('a filter may change the message', () => {
  const scrub = (message) => {
    message.fields.password = '***';
    return true;
  };
  const { client, sender } = memoryClient('app', 6, [], [scrub]);
  const fields = { password: 'secret' };
  client.metlog('login', { fields, pid: 7, timestamp: new Date(0) });
  const [message] = sender.messages;
  assert.deepEqual([message.fields, message.metlog_pid], [{ password: '***' }, 7]);
  assert.equal(message.timestamp, '1970-01-01T00:00:00.000000Z');
  assert.deepEqual(fields, { password: 'secret' });
});

/** Settings that cannot be used, and what is said of them. */
const WRONG = [
  ['severityMaxProvider', undefined, /^severity is missing, expected a number/],
  ['severityMaxProvider', { severity: 'high' }, /^severity is "high"/],
  ['typeBlacklistProvider', undefined, /^types is missing, expected a list/],
  ['typeBlacklistProvider', null, /^types is missing/],
  ['typeWhitelistProvider', { types: 7 }, /^types is 7/],
  ['typeSeverityMaxProvider', { types: ['a'] }, /^types is \["a"\], expected \{type: \{severity: number\}\}/],
  ['typeSeverityMaxProvider', { types: new Set(['a']) }, /^types is \{\}/],
  ['typeSeverityMaxProvider', { types: { a: 4 } }, /^types\.a is 4/],
  ['typeRateProvider', { types: 'a' }, /^types is "a"/],
  ['typeRateProvider', { types: { a: { severity: 4 } } }, /^types\.a is \{"severity":4\}/],
];

for (const [provider, settings, message] of WRONG) {
  test(`${provider} says that it cannot use ${JSON.stringify(settings)}, once`, () => {
    assert.throws(() => filters[provider](settings), { code: 'config', message });
  });
}
