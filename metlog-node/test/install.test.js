// The packages as they are released, in an empty project.
'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');

const { described } = require('../lib/platform.js');
const { ROOT, messagesIn } = require('./support.js');

const { name: PLATFORM_PACKAGE } = described();
const PLATFORM = PLATFORM_PACKAGE.split('/')[1];
const { version } = require('metlog/package.json');

const APPLICATION = `
configure({ logger: 'app', sender: { class: 'file', filepath: process.argv[2] } });
const requests = counter('requests');
requests.incr(2);
getClient().info('hello');
`;

const FILES = {
  'app.cjs': `const { configure, counter, getClient } = require('metlog');\n${APPLICATION}`,
  'app.mjs': `import { configure, counter, getClient } from 'metlog';\n${APPLICATION}`,
  'app.ts': `import { configure, counter, getClient, type MetlogClient } from 'metlog';
import { severityMaxProvider } from 'metlog/filters';
const client: MetlogClient = configure({ filters: [severityMaxProvider({ severity: 6 })] });
counter('requests').incr();
getClient().timer('t').start().stop();
export { client };
`,
  'package.json': '{ "name": "app", "version": "1.0.0", "private": true }',
};

const TSC = ['--noEmit', '--strict', '--module', 'node16', '--target', 'es2022', '--lib', 'es2022', 'app.ts'];

const execute = promisify(execFile);

function temporaryFolder(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'metlog-install-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

/** An empty project with some of the packages. */
async function project(folder, name, packages) {
  const cwd = path.join(folder, name);
  fs.mkdirSync(cwd);
  for (const [file, text] of Object.entries(FILES)) {
    fs.writeFileSync(path.join(cwd, file), text);
  }
  const quiet = ['--offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await execute('npm', ['install', ...quiet, ...packages], { cwd });
  return cwd;
}

test('the packages work in an empty project', { timeout: 120_000 }, async (t) => {
  const folder = temporaryFolder(t);
  const script = path.join(ROOT, '../tools/npm_packages.js');
  const addon = path.join(ROOT, 'metlog.node');
  const { stdout } = await execute(process.execPath, [script, folder, `${PLATFORM}=${addon}`]);
  const [root, platform] = stdout.trim().split('\n');
  const [whole, alone] = await Promise.all([
    project(folder, 'whole', [root, platform]),
    project(folder, 'alone', [root]),
  ]);
  const installed = path.join(whole, 'node_modules/metlog');
  const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));

  await t.test('nothing runs or is fetched when they are installed', () => {
    assert.equal(manifest.scripts, undefined);
    assert.equal(manifest.dependencies, undefined);
    assert.deepEqual(manifest.optionalDependencies, { [PLATFORM_PACKAGE]: version });
    assert.ok(!fs.existsSync(path.join(installed, 'metlog.node')));
  });

  for (const file of ['app.cjs', 'app.mjs']) {
    await t.test(`${file} sends`, async () => {
      const sent = path.join(whole, `${file}.json`);
      await execute(process.execPath, [file, sent], { cwd: whole });
      const seen = messagesIn(sent).map(({ type, payload, logger }) => [type, payload, logger]);
      assert.deepEqual(seen, [
        ['oldstyle', 'hello', 'app'],
        ['counter', '2', 'app'],
      ]);
    });
  }

  await t.test('an application in TypeScript compiles', async () => {
    const tsc = path.join(ROOT, 'node_modules/.bin/tsc');
    await execute(tsc, TSC, { cwd: whole });
  });

  await t.test('without an addon the error names the platform, its C library and the remedy', async () => {
    const source = "try { require('metlog') } catch ({ code, message }) { console.log(code, message) }";
    const { stdout: said } = await execute(process.execPath, ['-e', source], { cwd: alone });
    const { system } = described();
    assert.ok(said.startsWith(`io metlog ${version} has no native addon for ${system}, Node v`), said);
    assert.ok(said.includes(`install ${PLATFORM_PACKAGE}@${version}`), said);
  });

  await t.test('an addon of another version is refused', async () => {
    const other = path.join(whole, 'node_modules', PLATFORM_PACKAGE, 'package.json');
    fs.writeFileSync(other, fs.readFileSync(other, 'utf8').replace(`"${version}"`, '"0.0.1"'));
    const running = execute(process.execPath, ['-e', "require('metlog')"], { cwd: whole });
    await assert.rejects(running, new RegExp(`is of version 0\\.0\\.1, expected ${version}`));
  });
});
