// Exceptions as `sentry` messages.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { MetlogClient } = require('metlog');
const { severityMaxProvider } = require('metlog/filters');
const ravenPlugin = require('metlog/raven').configPlugin;

const { eventOf, memoryClient, run, temporaryFile } = require('./support.js');

/** The event of one exception, and its message. */
function sent(error, options) {
  const { client, sender } = memoryClient();
  client.sendException(error, options);
  const [message] = sender.messages;
  return { message, event: eventOf(message) };
}

const framesOf = (event) => event['sentry.interfaces.Stacktrace'].frames;

/** An error with a stack as V8 would have written it. */
function withStack(...calls) {
  const error = new Error('x');
  error.stack = ['Error: x', ...calls.map((call) => `    at ${call}`)].join('\n');
  return error;
}

class StoreError extends TypeError {}

function store() {
  throw new StoreError('disk is full');
}

function caught(fn) {
  try {
    return fn();
  } catch (error) {
    return error;
  }
}

test('an exception is a sentry message with its type, text, place and lines', () => {
  const { message, event } = sent(caught(store));
  assert.deepEqual([message.type, message.severity, message.logger], ['sentry', 3, 'app']);
  assert.equal(event['sentry.interfaces.Exception'].type, 'StoreError');
  assert.equal(event['sentry.interfaces.Exception'].value, 'disk is full');
  assert.deepEqual([event.message, event.platform], ['StoreError: disk is full', 'node']);
  assert.match(event.culprit, /exception\.test in store$/);
  const frame = framesOf(event).at(-1);
  assert.deepEqual([frame.abs_path, frame.function, frame.in_app], [__filename, 'store', true]);
  assert.equal(frame.context_line, "  throw new StoreError('disk is full');");
  assert.equal(frame.context_line.slice(frame.colno - 1, frame.colno + 2), 'new');
  assert.equal(frame.pre_context.at(-1), 'function store() {');
  assert.equal(frame.post_context[0], '}');
  assert.equal(framesOf(event).at(-2).function, 'caught');
});

test('what the call says goes over the defaults, and is left alone', () => {
  const { client, sender } = memoryClient();
  const dsn = 'https://public:secret@sentry.example.org/7';
  const options = {
    msg: 'while saving',
    fields: { userid: 25 },
    extra: { attempt: 2 },
    logger: 'other',
    dsn,
  };
  const before = structuredClone(options);
  client.sendException(caught(store), { ...options, severity: 1 });
  client.sendException(caught(store), options);
  assert.deepEqual(options, before);
  const [message] = sender.messages;
  const { epoch_timestamp: seconds, ...fields } = message.fields;
  assert.deepEqual([message.logger, message.severity], ['other', 1]);
  assert.deepEqual(fields, { userid: 25, msg: 'while saving', dsn });
  assert.ok(Math.abs(Date.now() / 1000 - seconds) < 60, `${seconds}`);
  const { project, extra } = eventOf(message);
  assert.equal(project, '7');
  assert.deepEqual([extra.msg, extra.logger, extra.severity, extra.attempt], ['while saving', 'other', 1, 2]);
  assert.ok(extra['sys.argv'].includes(process.argv[1]));
});

test('a sender written in JavaScript gets the same message', () => {
  const error = caught(store);
  const seen = [];
  const client = new MetlogClient({ sendMessage: (message) => seen.push(message) }, 'app');
  client.sendException(error, { fields: { a: 1 } });
  const { message, event } = sent(error, { fields: { a: 1 } });
  const alike = ({ timestamp, payload, fields: { epoch_timestamp, ...fields }, ...rest }) => [rest, fields];
  assert.deepEqual(alike(seen[0]), alike(message));
  const { event_id: one, timestamp: _, ...own } = eventOf(seen[0]);
  const { event_id: other, timestamp: __, ...expected } = event;
  assert.deepEqual(own, expected);
  assert.notEqual(one, other);
});

test('exception() stays the line of text that it was', () => {
  const { client, sender } = memoryClient();
  client.exception(new Error('x'));
  const [{ type, severity, payload }] = sender.messages;
  assert.deepEqual([type, severity, payload], ['oldstyle', 1, 'Error: x']);
});

/** A line of V8, and what is known from it: function, file, line, column, in_app, module. */
const CALLS = [
  ['Store.find (/srv/lib/store.js:12:34)', ['Store.find', '/srv/lib/store.js', 12, 34, true, null]],
  ['Store.find [as get] (/srv/a.js:1:2)', ['Store.find [as get]', '/srv/a.js', 1, 2, true, null]],
  ['new Store (/srv/a b (c)/store.js:1:2)', ['new Store', '/srv/a b (c)/store.js', 1, 2, true, null]],
  ['async load (file:///srv/a%20b/x.mjs:3:4)', ['load', '/srv/a b/x.mjs', 3, 4, true, null]],
  ['file:///srv/100%/x.mjs:3:4', [null, 'file:///srv/100%/x.mjs', 3, 4, false, null]],
  ['async /srv/a.js:5:6', [null, '/srv/a.js', 5, 6, true, null]],
  ['async Promise.all (index 1)', ['Promise.all', 'index 1', null, null, false, null]],
  ['Array.map (<anonymous>)', ['Array.map', '<anonymous>', null, null, false, null]],
  ['<anonymous>', [null, '<anonymous>', null, null, false, null]],
  ['Object.openSync (node:fs:571:10)', ['Object.openSync', 'node:fs', 571, 10, false, null]],
  [
    'next (/srv/node_modules/a/node_modules/express/lib/route.js:144:13)',
    ['next', '/srv/node_modules/a/node_modules/express/lib/route.js', 144, 13, false, 'express/lib/route'],
  ],
  [
    'go (/srv/node_modules/@scope/it/x.cjs:1:1)',
    ['go', '/srv/node_modules/@scope/it/x.cjs', 1, 1, false, '@scope/it/x'],
  ],
  [`own (${process.cwd()}/lib/own.js:1:1)`, ['own', `${process.cwd()}/lib/own.js`, 1, 1, true, 'lib/own']],
  [
    'eval (eval at run (/srv/a.js:1:2), <anonymous>:3:4)',
    ['eval', 'eval at run (/srv/a.js:1:2), <anonymous>', 3, 4, false, null],
  ],
  ['wasm://wasm/7b2a:wasm-function[3]:0x24', undefined],
  ['the office', undefined],
  ['', undefined],
];

test('each line of a stack is read', () => {
  for (const [line, expected] of CALLS) {
    const [frame] = framesOf(sent(withStack(line)).event);
    const known = frame && [
      ...[frame.function, frame.abs_path, frame.lineno ?? null],
      ...[frame.colno ?? null, frame.in_app, frame.module],
    ];
    assert.deepEqual(known, expected, line);
  }
});

test('the innermost frames of an endless recursion are kept, and the others counted', () => {
  const calls = Array.from({ length: 5000 }, (_, n) => `f${n} (/srv/a.js:1:1)`);
  const { event } = sent(withStack(...calls));
  const frames = framesOf(event);
  assert.equal(frames.at(-1).function, 'f0');
  assert.ok(frames.length <= 100 && event.extra.frames_left_out === 5000 - frames.length, `${frames.length}`);
});

test('a message with lines that look like calls forges none', () => {
  const { event } = sent(caught(() => JSON.parse('\n    at forged (/etc/hosts.js:1:1)')));
  const forged = new Error('a\n    at forged (/etc/hosts.js:1:1)\n    at forged (/etc/hosts.js:2:1)');
  for (const frames of [framesOf(event), framesOf(sent(forged).event)]) {
    assert.ok(frames.length > 1);
    assert.ok(!frames.some((frame) => frame.function === 'forged'));
  }
});

test('only lines of source files are read', (t) => {
  const file = temporaryFile(t);
  for (const [name, expected] of [
    [`${file}.js`, 'let a;'],
    [`${file}.env`, ''],
  ]) {
    fs.writeFileSync(name, 'let a;\n');
    assert.equal(framesOf(sent(withStack(`f (${name}:1:1)`)).event)[0].context_line, expected, name);
  }
});

test('causes and what an AggregateError holds follow the error, each once', () => {
  const inner = new Error('inner', { cause: 'a text' });
  const error = new AggregateError([new RangeError('one'), inner, 7], 'several', { cause: inner });
  inner.errors = [new Error('no member: this is no AggregateError')];
  inner.itself = inner;
  const { event } = sent(new Error('outer', { cause: error }));
  const told = event.extra.causes.map(({ type, value, relation, parent }) => [type, value, relation, parent]);
  assert.deepEqual(told, [
    ['AggregateError', 'several', 'cause', 0],
    ['Error', 'inner', 'cause', 1],
    ['string', 'a text', 'cause', 2],
    ['RangeError', 'one', 'member', 1],
    ['number', '7', 'member', 1],
  ]);
  assert.ok(event.extra.causes[0].stacktrace.frames.length > 0);
});

test('a chain without end ends', () => {
  const error = new Error('x');
  error.cause = new Error('y', { cause: error });
  assert.equal(sent(error).event.extra.causes.length, 1);
  let long = new Error('0');
  for (let n = 1; n < 1000; n += 1) {
    long = new Error(`${n}`, { cause: long });
  }
  assert.equal(sent(long).event.extra.causes.length, 49);
});

/** What is thrown, and the type and text it is known by. */
const THROWN = [
  [new TypeError('a'), 'TypeError', 'a'],
  [Object.assign(new Error('a'), { name: 'Own' }), 'Own', 'a'],
  [new (class extends Error {})('a'), 'Error', 'a'],
  [caught(() => fs.readFileSync({})), 'TypeError', /must be of type string/],
  [new DOMException('over', 'AbortError'), 'AbortError', 'over'],
  ['a text', 'string', 'a text'],
  [undefined, 'undefined', 'undefined'],
  [null, 'object', 'null'],
  [Symbol('s'), 'symbol', 'Symbol(s)'],
  [7n, 'bigint', '7'],
  [{ message: 'm', code: 1 }, 'Object', 'm'],
  [Object.create(null), 'object', ''],
  [new Error('card 4111-1111-1111-1111'), 'Error', 'card ********'],
];

test('what is thrown is known by its type and text', () => {
  for (const [error, type, value] of THROWN) {
    const known = sent(error).event['sentry.interfaces.Exception'];
    assert.equal(known.type, type);
    assert[typeof value === 'string' ? 'equal' : 'match'](known.value, value);
  }
});

test('properties are bounded, scrubbed and read without running code', () => {
  let ran = 0;
  const run = () => {
    ran += 1;
    return 'ran';
  };
  const error = Object.assign(new Error('x', { cause: Object.assign(new Error('y'), { code: 'E_Y' }) }), {
    code: 'E_X',
    db: { password: 'hunter2', url: 'postgres://jane:hunter2@db/x', port: 5432n },
    when: new Date(0),
    list: Array.from({ length: 100_000 }, (_, n) => n),
    text: 'x'.repeat(1_000_000),
    bytes: Buffer.from('secret'),
    custom: {
      toJSON: run,
      toString: run,
      [Symbol.toPrimitive]: run,
      [require('node:util').inspect.custom]: run,
    },
    proxy: new Proxy({}, { get: run, ownKeys: run, getPrototypeOf: run, getOwnPropertyDescriptor: run }),
    lone: '\ud800',
    none: undefined,
    endless: Number.POSITIVE_INFINITY,
  });
  error.self = error.db.parent = error;
  error.loop = { a: {} };
  error.loop.a.back = error.loop;
  Object.defineProperty(error, 'asked', { get: run, enumerable: true });
  Object.defineProperty(error, 'hidden', { value: 1 });
  const { properties, causes_properties: behind } = sent(error).event.extra;
  assert.equal(ran, 0);
  assert.deepEqual(behind, [{ code: 'E_Y' }]);
  const { list, text, custom, ...rest } = properties;
  assert.deepEqual([list.length, list.at(-1)], [50, '... 99951 more']);
  assert.equal(text.length, 400);
  assert.deepEqual(custom, { toJSON: '[function]', toString: '[function]' });
  assert.deepEqual(rest, {
    code: 'E_X',
    db: { password: '********', url: 'postgres://jane:********@db/x', port: '5432', parent: 'Error: x' },
    when: '1970-01-01T00:00:00.000Z',
    bytes: '[Buffer]',
    proxy: '[proxy]',
    lone: '\ufffd',
    none: null,
    endless: null,
    self: 'Error: x',
    loop: { a: { back: '[circular]' } },
    asked: '[getter]',
  });
});

const refuse = () => {
  throw new Error('no');
};

const HOSTILE = {
  // The stack first: Node asks an error for its name when it writes that.
  'getters that throw': Object.defineProperties(
    new Error('x'),
    Object.fromEntries(
      ['stack', 'name', 'message', 'cause', 'own'].map((name) => [name, { get: refuse, enumerable: true }]),
    ),
  ),
  'a name that throws when the stack is written': Object.defineProperty(new Error('x'), 'name', {
    get: refuse,
  }),
  'a stack that is no text': Object.assign(new Error('x'), { stack: { toString: refuse } }),
  'a name, a message and causes that are no texts': Object.assign(new AggregateError([]), {
    name: refuse,
    message: { toString: refuse },
    cause: refuse,
    errors: { length: 1e9 },
  }),
  'errors that are a proxy': Object.assign(new AggregateError([]), {
    errors: new Proxy([], { get: refuse }),
  }),
  'a proxy': new Proxy(new Error('x'), {
    get: refuse,
    getPrototypeOf: refuse,
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
  }),
  'a prototype that is a proxy': Object.setPrototypeOf(
    new Error('x'),
    new Proxy({}, { get: refuse, getPrototypeOf: refuse, getOwnPropertyDescriptor: refuse }),
  ),
  'a class that is a proxy': Object.assign(new Error('x'), {
    constructor: new Proxy(class {}, { get: refuse, getOwnPropertyDescriptor: refuse }),
  }),
  'a revoked proxy': (() => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return Object.assign(new Error('x', { cause: proxy }), { proxy });
  })(),
  'a frozen error': Object.freeze(new Error('x')),
  'an error without a prototype': Object.setPrototypeOf(new Error('x'), null),
  'texts of 50 MB': Object.assign(new Error('x'.repeat(50 << 20)), { name: 'n'.repeat(50 << 20) }),
  'a stack of 50 MB': withStack('f (/a.js:1:1)\n'.repeat(4 << 20)),
  'a stack of one line': withStack('('.repeat(1 << 20)),
  'ten thousand properties': Object.assign(
    new Error('x'),
    Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`p${n}`, { n }])),
  ),
  'a line beyond what a number holds': withStack(`f (/a.js:${'9'.repeat(30)}:1)`),
};

for (const [name, error] of Object.entries(HOSTILE)) {
  test(`${name}: the exception is sent, and the application goes on`, () => {
    const { client, sender } = memoryClient();
    client.sendException(error);
    assert.deepEqual(client.stats().refused, {});
    const event = eventOf(sender.messages[0]);
    assert.ok(event.message.length <= 1000, `${event.message.length}`);
    assert.ok(sender.messages[0].payload.length < 900 * 1024);
  });
}

const OVERRIDES = [
  ['gives back calls', (_error, calls) => calls],
  ['throws', refuse],
  ['gives back a text', () => 'no stack\n    at own (/srv/own.js:1:1)'],
];

for (const [name, override] of OVERRIDES) {
  test(`a prepareStackTrace that ${name} keeps the exception from nothing`, () => {
    const original = Error.prepareStackTrace;
    Error.prepareStackTrace = override;
    try {
      const { event } = sent(new Error('x'));
      assert.equal(event.message, 'Error: x');
    } finally {
      Error.prepareStackTrace = original;
    }
  });
}

test('the package loads under a prepareStackTrace that throws', async () => {
  const source = "Error.prepareStackTrace = () => { throw new Error('no'); }; require('metlog');";
  assert.deepEqual(await run(source), { code: 0, signal: null, stdout: '', stderr: '' });
});

/** Calls that cannot be made sense of: refused, counted, and nothing is thrown. */
const REFUSED = [
  ['a DSN that is none', { dsn: 'ftp://user:hunter2@host/1' }],
  ['a DSN that is no text', { dsn: 7 }],
  ['options that throw', new Proxy({}, { get: refuse, ownKeys: refuse })],
];

for (const [name, options] of REFUSED) {
  test(`${name}: the call is refused and counted`, () => {
    const { client, sender } = memoryClient();
    client.sendException(new Error('x'), options);
    client.sendException(new Error('x'));
    assert.deepEqual(client.stats().refused, { encode: 1 });
    assert.equal(sender.messages.length, 1);
  });
}

test('fields that throw are left behind, and the exception is sent', () => {
  const { message } = sent(new Error('x'), { fields: new Proxy({ a: 1 }, { ownKeys: refuse }) });
  const { epoch_timestamp: _, ...fields } = message.fields;
  assert.deepEqual(fields, { msg: '', dsn: null, original: { fields: '[unreadable]' } });
});

test('filters and a method put in the place of metlog see the finished message', () => {
  const { client, sender } = memoryClient();
  const seen = [];
  client.filters = [(message) => seen.push(message.payload) > 0];
  client.sendException(new Error('filtered'));
  client.filters = [];
  client.addMethod('metlog', (_type, { payload }) => seen.push(payload), true);
  client.sendException(new Error('overridden'));
  const titles = seen.map((payload) => eventOf({ payload }).message);
  assert.deepEqual(titles, ['Error: filtered', 'Error: overridden']);
  assert.equal(sender.messages[0].payload, seen[0]);
});

test('a filter that reads the severity refuses an exception', () => {
  const { client, sender } = memoryClient();
  client.filters = [severityMaxProvider({ severity: 2 })];
  client.sendException(new Error('x'));
  client.sendException(new Error('x'), { severity: 2 });
  assert.equal(sender.messages.length, 1);
  assert.deepEqual(client.stats().refused, { filtered: 1 });
});

test('the plugin raven sends with the settings it was made with', () => {
  const { client, sender } = memoryClient();
  const dsn = 'udp://u:p@127.0.0.1:9000/2';
  client.addMethod('raven', ravenPlugin({ dsn, logger: 'errors', severity: 2 }));
  client.raven('none is active');
  client.raven('first', new Error('x'));
  client.raven('second', new Error('x'), { severity: 4, fields: { a: 1 } });
  const [first, second] = sender.messages;
  assert.deepEqual(
    [first.logger, first.severity, first.fields.dsn, first.fields.msg],
    ['errors', 2, dsn, 'first'],
  );
  assert.deepEqual([second.logger, second.severity, second.fields.a], ['errors', 4, 1]);
});

test('a setting of raven that is wrong is an error without its password', () => {
  for (const [settings, message] of [
    [{ dsn: 'ftp://u:hunter2@h/1' }, /^Unsupported Sentry DSN scheme/],
    [{ dsn: 'http://u:hunter2@h' }, /^Invalid Sentry DSN/],
    [{ dns: 'x' }, /unexpected settings \[dns\], expected some of dsn, /],
  ]) {
    const wrong = (error) =>
      error.code === 'config' && message.test(error.message) && !/hunter2/.test(error.message);
    assert.throws(() => ravenPlugin(settings), wrong);
  }
});

test('an exception says which host and process it comes from', () => {
  const { message, event } = sent(new Error('x'));
  assert.deepEqual([message.metlog_pid, event.server_name], [process.pid, os.hostname()]);
  assert.equal(path.isAbsolute(framesOf(event).at(-1).abs_path), true);
});
