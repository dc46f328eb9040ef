// Exceptions of code that was made from other sources.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { MetlogClient } = require('metlog');
const { eventOf, memoryClient, run, temporaryFile } = require('./support.js');

const SOURCE = ['type Id = string;', '', 'export function boom(id: Id) {', "  throw new Error('boom');", '}'];

/** The made file: the call in its second line, column 34, stands for line 4, column 9 of the source. */
const MADE = ["'use strict';", "exports.boom = function b(i) {    throw new Error('boom'); };"];

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Numbers as a segment of mappings. */
function segment(...numbers) {
  return numbers
    .map((number) => {
      let rest = number < 0 ? (-number << 1) | 1 : number << 1;
      let text = '';
      do {
        const digit = rest & 31;
        rest >>= 5;
        text += DIGITS[rest > 0 ? digit | 32 : digit];
      } while (rest > 0);
      return text;
    })
    .join('');
}

/** Line 2: column 0 is line 3 of the source, column 34 line 4; what comes after is no part of it. */
const MAPPINGS = `;${segment(0, 0, 2, 0)},${segment(34, 0, 1, 2)},${segment(24)}`;

const MAP = { version: 3, sources: ['../src/boom.ts'], names: [], mappings: MAPPINGS };

/** A made file with its source and its map, as `change` makes it. */
function project(t, { map = MAP, named = 'boom.js.map', writes = true } = {}) {
  const folder = path.dirname(temporaryFile(t));
  for (const part of ['src', 'dist']) {
    fs.mkdirSync(path.join(folder, part));
  }
  if (writes) {
    fs.writeFileSync(path.join(folder, 'src/boom.ts'), SOURCE.join('\n'));
  }
  const made = path.join(folder, 'dist/boom.js');
  fs.writeFileSync(made, `${MADE.join('\n')}\n//# sourceMappingURL=${named}\n`);
  fs.writeFileSync(
    path.join(folder, 'dist/boom.js.map'),
    typeof map === 'string' ? map : JSON.stringify(map),
  );
  return { made, source: path.join(folder, 'src/boom.ts') };
}

function thrownBy(made) {
  try {
    require(made).boom();
  } catch (error) {
    return error;
  }
}

/** The innermost call of an exception. */
function frameOf(event) {
  return event['sentry.interfaces.Stacktrace'].frames.at(-1);
}

const inline = (map) =>
  `data:application/json;charset=utf-8;base64,${Buffer.from(JSON.stringify(map)).toString('base64')}`;

const MAPPED = {
  'a map beside the file': {},
  'a map in the file': { named: inline(MAP), map: 'unused' },
  'a map that holds the source': { map: { ...MAP, sourcesContent: [SOURCE.join('\n')] }, writes: false },
  'a map with a root': { map: { ...MAP, sourceRoot: '../', sources: ['src/boom.ts'] } },
};

for (const [name, change] of Object.entries(MAPPED)) {
  test(`${name} tells where a call is in its source`, (t) => {
    const { made, source } = project(t, change);
    const { client, sender } = memoryClient();
    client.sendException(thrownBy(made));
    const frame = frameOf(eventOf(sender.messages[0]));
    assert.deepEqual([frame.abs_path ?? frame.filename, frame.lineno], [source, 4]);
    assert.equal(frame.context_line, "  throw new Error('boom');");
    assert.deepEqual([frame.pre_context.length, frame.post_context, frame.in_app], [3, ['}'], true]);
  });
}

test('a sender written in JavaScript gets the same', (t) => {
  const { made, source } = project(t);
  const messages = [];
  new MetlogClient({ sendMessage: (message) => messages.push(message) }).sendException(thrownBy(made));
  const frame = frameOf(eventOf(messages[0]));
  assert.deepEqual([frame.abs_path ?? frame.filename, frame.lineno], [source, 4]);
});

/** A file of one line, as a minifier makes it: `count` segments, each a column and a line further than the one before. */
function minified(t, count) {
  const map = {
    ...MAP,
    sources: ['../src/boom.ts'],
    mappings: `AAAA${`,${segment(1, 0, 1, 0)}`.repeat(count)}`,
  };
  return project(t, { map });
}

function errorWith(stack) {
  const error = new Error('boom');
  error.stack = `Error: boom\n${stack.join('\n')}`;
  return error;
}

const call = (made, line, column) => `    at f (${made}:${line}:${column})`;

test('each of many calls in one long line is told where it is in its source', (t) => {
  const { made, source } = minified(t, 1000);
  const { client, sender } = memoryClient();
  const columns = [900, 5, 1, 5000, 400, 5];
  client.sendException(errorWith(columns.map((column) => call(made, 1, column))));
  const { frames } = eventOf(sender.messages[0])['sentry.interfaces.Stacktrace'];
  const expected = columns.map((column) => Math.min(column, 1001)).reverse();
  assert.deepEqual(
    frames.map(({ abs_path: file, filename, lineno }) => [file ?? filename, lineno]),
    expected.map((line) => [source, line]),
  );
});

test('2,000 calls into a line of 500,000 segments take the time of one', (t) => {
  const { made } = minified(t, 500_000);
  const { client, sender } = memoryClient();
  const took = (calls) => {
    const stack = Array.from({ length: calls }, (_, index) => call(made, 1, 7 + calls + index));
    const before = process.cpuUsage();
    client.sendException(errorWith(stack));
    assert.equal(client.flush(60_000), true);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const one = took(1);
  const all = took(2000);
  assert.ok(all < 4 * one + 200_000, `${one} and ${all} microseconds`);
  assert.equal(sender.messages.length, 2);
});

test('a large map is not read on the event loop', (t) => {
  const { made } = minified(t, 400_000);
  const messages = [];
  new MetlogClient({ sendMessage: (message) => messages.push(message) }).sendException(
    errorWith([call(made, 1, 7)]),
  );
  const frame = frameOf(eventOf(messages[0]));
  assert.deepEqual([frame.abs_path ?? frame.filename, frame.lineno], [made, 1]);
});

const UNMAPPED = {
  'a map that is missing': { named: 'none.js.map' },
  'a map that is no JSON': { map: '{' },
  'a map with broken mappings': { map: { ...MAP, mappings: ';AAAA,!' } },
  'mappings of numbers out of range': { map: { ...MAP, mappings: `;${segment(0, 7, -5, 1)}` } },
  'a map elsewhere': { named: 'http://127.0.0.1:1/boom.js.map' },
  'a map of another name': { named: '../../../etc/passwd' },
};

for (const [name, change] of Object.entries(UNMAPPED)) {
  test(`${name} leaves a call where it is`, (t) => {
    const { made } = project(t, change);
    const { client, sender } = memoryClient();
    client.sendException(thrownBy(made));
    const frame = frameOf(eventOf(sender.messages[0]));
    assert.deepEqual([frame.abs_path ?? frame.filename, frame.lineno], [made, 2]);
    assert.equal(frame.context_line, MADE[1]);
  });
}

test('the lines of a file that is no source are not shown', (t) => {
  const { made, source } = project(t, { map: { ...MAP, sources: ['../src/secret.txt'] } });
  const secret = source.replace('boom.ts', 'secret.txt');
  fs.writeFileSync(secret, 'a\nb\nc\nsecret\n');
  const { client, sender } = memoryClient();
  client.sendException(thrownBy(made));
  const frame = frameOf(eventOf(sender.messages[0]));
  assert.deepEqual([frame.abs_path ?? frame.filename, frame.context_line], [secret, '']);
});

test('a stack that Node has mapped stays as it is', async (t) => {
  const { made, source } = project(t);
  const program = `
    const { MetlogClient } = require('metlog');
    const { memorySenderFactory } = require('metlog/senders');
    const sender = memorySenderFactory();
    try { require(${JSON.stringify(made)}).boom(); } catch (error) { new MetlogClient(sender).sendException(error); }
    console.log(JSON.stringify(sender.messages[0]));`;
  const { stdout } = await run(program, { node: ['--enable-source-maps'] });
  const frame = frameOf(eventOf(JSON.parse(stdout)));
  assert.deepEqual([frame.abs_path ?? frame.filename, frame.lineno], [source, 4]);
});
