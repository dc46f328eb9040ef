// The table of Python and Node side by side names what there is, and all of it.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { MetlogClient } = require('metlog');
const { ROOT, memoryClient } = require('./support.js');

const TABLE = fs.readFileSync(path.join(ROOT, '..', 'docs', 'faces.md'), 'utf8');

/** What a row is about, and its cell of Node. */
const CELLS = TABLE.split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.replace(/^\| | \|$/g, '').split(' | '))
  .filter((row) => row.length === 3)
  .slice(1)
  .map(([what, , cell]) => ({ what, cell }));

const names = (cell) => (cell.startsWith('none: ') ? [] : [...cell.matchAll(/`([^`]+)`/g)].map(([, n]) => n));
const NAMES = CELLS.flatMap(({ cell }) => names(cell));

/** What a name stands for: an attribute of a client or a handle, or of an entry of the package. */
function found(name) {
  const { client } = memoryClient();
  const { aggregates } = client;
  const known = {
    client,
    counter: aggregates.counter('a'),
    gauge: aggregates.gauge('a'),
    timer: aggregates.timer('a'),
  };
  const [, first, rest] = /^(metlog\/package\.json|[^.]+)\.(.+)$/.exec(name);
  const start = known[first] ?? require(first);
  return rest.split('.').reduce((thing, attribute) => thing?.[attribute], start);
}

test('every row says something of Node', () => {
  assert.ok(NAMES.length > 50);
  const silent = CELLS.filter(({ cell }) => names(cell).length === 0 && !cell.startsWith('none: '));
  assert.deepEqual(silent, []);
});

for (const name of NAMES) {
  test(`${name} exists`, () => {
    assert.notEqual(found(name), undefined);
  });
}

test('what the package offers is in the table', () => {
  const { exports: entries } = require('metlog/package.json');
  const offered = [
    ...Object.keys(require('metlog')).map((name) => `metlog.${name}`),
    ...Object.getOwnPropertyNames(MetlogClient.prototype).map((name) => `client.${name}`),
    ...Object.keys(entries).map((entry) => entry.replace('.', 'metlog')),
  ];
  const isNamed = (name) => NAMES.some((known) => known === name || known.startsWith(`${name}.`));
  const missing = offered.filter((name) => name !== 'client.constructor' && !isNamed(name));
  assert.deepEqual(missing, []);
});
