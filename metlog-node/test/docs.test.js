// The pages about Node: their blocks run, their links lead somewhere, the index names them all.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROOT, run } = require('./support.js');

const FOLDER = path.join(ROOT, '..', 'docs', 'node');
const PAGES = fs.readdirSync(FOLDER).filter((name) => name.endsWith('.md'));

const text = (page) => fs.readFileSync(path.join(FOLDER, page), 'utf8');

for (const page of PAGES) {
  const blocks = [...text(page).matchAll(/^```js\n(.*?)^```$/gms)].map(([, block]) => block);
  if (blocks.length > 0) {
    test(`the blocks of ${page} run one after another`, async () => {
      // Nobody listens to a test.
      const nowhere =
        "Object.assign(process.env, { METLOG_SENDER_CLASS: 'file', METLOG_SENDER_FILEPATH: '/dev/null' });";
      const { code, stderr } = await run(nowhere + blocks.join('\n'));
      assert.deepEqual([code, stderr], [0, '']);
    });
  }

  test(`the links of ${page} lead somewhere`, () => {
    const links = [...text(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link);
    const missing = links.filter((link) => !fs.existsSync(path.join(FOLDER, link)));
    assert.deepEqual(missing, []);
  });
}

test('the index names every page', () => {
  const index = text('README.md');
  assert.deepEqual(
    PAGES.filter((page) => !index.includes(`(${page})`)),
    ['README.md'],
  );
});

test('every integration has a page that uses it', () => {
  const { exports: entries } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const integrations = Object.entries(entries)
    .filter(([, entry]) => entry.default?.includes('/integrations/'))
    .map(([name]) => name.replace('.', 'metlog'));
  assert.ok(integrations.length > 6);
  const all = PAGES.map(text).join('\n');
  assert.deepEqual(
    integrations.filter((name) => !all.includes(`require('${name}')`)),
    [],
  );
});
