// The package as a whole.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROOT } = require('./support.js');

const EXPORTS = {
  metlog: [
    'IsoDateString',
    'MetlogClient',
    'SEVERITY',
    'bind',
    'captureUncaught',
    'clientFromJsonConfig',
    'configure',
    'counter',
    'gauge',
    'getClient',
    'timer',
  ],
  'metlog/cef': [
    'ACCOUNT_LOCKED',
    'AUTH_FAILURE',
    'CAPTCHA_FAILURE',
    'OVERRIDE_FAILURE',
    'PASSWD_RESET_CLR',
    'configPlugin',
  ],
  'metlog/config': ['clientFromJsonConfig', 'getGlobalConfig', 'resolveName'],
  'metlog/filters': [
    'severityMaxProvider',
    'typeBlacklistProvider',
    'typeRateProvider',
    'typeSeverityMaxProvider',
    'typeWhitelistProvider',
  ],
  'metlog/raven': ['configPlugin'],
  'metlog/senders': [
    'fileSenderFactory',
    'memorySenderFactory',
    'stdoutSenderFactory',
    'udpSenderFactory',
    'zmqPubSenderFactory',
    'zmqPushSenderFactory',
  ],
  'metlog/senders/encoders': ['jsonEncoder', 'msgpackEncoder'],
  'metlog/testing': ['captureLogs'],
};

/** TypeScript does not read `exports` where `moduleResolution` is `node`, as it is unless told for CommonJS up to 5.x. */
test('every path that is exported has its types for older compilers too', () => {
  const { exports: exported, typesVersions } = require('metlog/package.json');
  const types = Object.entries(exported)
    .filter(([name, entry]) => name !== '.' && entry.types !== undefined)
    .map(([name, entry]) => [name.replace('./', ''), [entry.types.replace('./', '')]]);
  assert.deepEqual(typesVersions, { '*': Object.fromEntries(types) });
});

for (const [name, names] of Object.entries(EXPORTS)) {
  test(`${name} exports the same to require and to import`, async () => {
    const required = require(name);
    const imported = await import(name);
    assert.deepEqual(Object.keys(required).sort(), names);
    const { default: _, 'module.exports': __, ...named } = imported;
    assert.deepEqual(Object.keys(named).sort(), names);
    for (const exported of names) {
      assert.ok(required[exported], exported);
      assert.equal(imported[exported], required[exported], exported);
    }
  });
}

test('the package has the one version of the workspace', () => {
  const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');
  const [, workspace] = read('../Cargo.toml').match(/\[workspace\.package\][^[]*?\nversion = "([^"]+)"/);
  assert.equal(JSON.parse(read('package.json')).version, workspace);
  assert.equal(JSON.parse(read('package-lock.json')).version, workspace);
});
