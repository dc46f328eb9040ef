// The golden vectors that every language reads: calls and the messages they send.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { NINE_KEYS, ROOT, eventOf, memoryClient } = require('./support.js');

const METRICS = ['counter', 'gauge', 'timer'];

function casesIn(file) {
  const cases = JSON.parse(fs.readFileSync(path.join(ROOT, '../tests/contract', file), 'utf8'));
  assert.ok(cases.length > 0, `${file} has cases`);
  return cases;
}

/** Makes the call of a case through this API. */
function replay(client, call, { type, name, count, value, elapsed_ms: elapsed, text, ...options }) {
  const counted = count === undefined ? options : { ...options, count };
  switch (call) {
    case 'metlog':
      return client.metlog(type, options);
    case 'incr':
      return client.incr(name, counted);
    case 'gauge':
      return client.gauge(name, value, options);
    case 'timer_send':
      return client.timer_send(elapsed, name, options);
    default:
      return client[call](text, options);
  }
}

/** The message as the files compare it: the payload of a metric is a text that holds a number. */
function comparable(message) {
  if (!METRICS.includes(message.type)) {
    return message;
  }
  assert.equal(typeof message.payload, 'string');
  return { ...message, payload: Number(message.payload) };
}

for (const { name, client: defaults, call, args, repeat = 1, message } of casesIn('calls.json')) {
  test(`calls.json, ${name}`, () => {
    const { client, sender } = memoryClient(defaults.logger, defaults.severity);
    const before = structuredClone(args);
    for (let n = 0; n < repeat && client.stats().attempted === 0; n += 1) {
      replay(client, call, args);
    }
    assert.deepEqual(args, before);
    const [seen] = sender.messages;
    if (message === null) {
      assert.equal(seen, undefined);
      return;
    }
    assert.deepEqual(Object.keys(seen), NINE_KEYS);
    const { timestamp, metlog_pid: pid, metlog_hostname: hostname, ...rest } = seen;
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual([pid, hostname], [process.pid, os.hostname()]);
    assert.deepEqual(comparable(rest), comparable(message));
  });
}

for (const { name, message } of casesIn('json.json').filter((vector) => vector.message)) {
  test(`json.json, ${name}`, () => {
    const { client, sender } = memoryClient();
    const { type, logger, severity, payload, fields } = message;
    const timestamp = message.timestamp === 'now' ? undefined : message.timestamp;
    const { metlog_pid: pid, metlog_hostname: hostname } = message;
    client.metlog(type, { logger, severity, payload, fields, timestamp, pid, hostname });
    const [seen] = sender.messages;
    const expected = { ...message, env_version: '0.8', timestamp: timestamp ?? seen.timestamp };
    assert.deepEqual(seen, expected);
  });
}

for (const { name, config, environ, event, host, line } of casesIn('cef.json')) {
  test(`cef.json, ${name}`, () => {
    const { client, sender } = memoryClient();
    const { name: what, severity, ...options } = event;
    const seen = client.cef(what, severity, environ, config, options);
    const start = seen.indexOf(' CEF:');
    assert.equal(seen.slice(start + 1), line);
    assert.equal(seen.slice(0, start).split(' ').at(-1), host ?? os.hostname());
    assert.equal(sender.messages[0].payload, seen);
  });
}

for (const { name, variable, value, shown } of casesIn('exceptions.json')) {
  test(`exceptions.json, ${name}`, () => {
    const { client, sender } = memoryClient();
    client.sendException(new Error('x'), { extra: { [variable]: value } });
    assert.deepEqual(eventOf(sender.messages[0]).extra[variable], shown);
  });
}
