// The default client and its settings.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const test = require('node:test');

const { MetlogClient, configure, getClient } = require('metlog');
const { memorySenderFactory } = require('metlog/senders');
const { ROOT, messagesIn, run, temporaryFile } = require('./support.js');

test('the default client stays the same, however often it is configured', () => {
  const client = configure({ logger: 'first', sender: memorySenderFactory() });
  assert.ok(client instanceof MetlogClient);
  assert.equal(getClient(), client);
  const second = configure({ logger: 'second', severity: 4, disabledTimers: new Set(['slow']) });
  assert.equal(second, client);
  assert.deepEqual([client.logger, client.severity, client.disabledTimers], ['second', 4, ['slow']]);
});

test('filters of settings and functions are the filters of the client', () => {
  const table = [
    [{ filters: { severityMax: 5 } }, ['services', 'noise']],
    [{ filtersSeverityMax: 5 }, ['services', 'noise']],
    [{ filters: { typeBlacklist: ['noise'] } }, ['services', 'quiet']],
    [{ filters: { typeWhitelist: new Set(['noise']) } }, ['noise']],
    [{ filters: { typeSeverityMax: { services: 3, noise: 4 } } }, ['noise', 'quiet']],
    [{ filters: { typeRate: { services: 0, noise: 1 } } }, ['noise', 'quiet']],
    [{ filters: [({ type }) => type === 'quiet'] }, ['quiet']],
  ];
  for (const [settings, expected] of table) {
    const sender = memorySenderFactory();
    const client = configure({ ...settings, sender });
    client.metlog('services', { severity: 4 });
    client.metlog('noise', { severity: 4 });
    client.metlog('quiet', { severity: 6 });
    const types = sender.messages.map(({ type }) => type);
    assert.deepEqual(types, expected, JSON.stringify(settings));
  }
});

test('what cannot be used is named, all of it at once, and nothing changes', () => {
  const client = configure({ logger: 'before', sender: memorySenderFactory() });
  const cyclic = [];
  cyclic.push(cyclic);
  const table = [
    [
      [{ logger: 'after', queueByte: 1, severity: 9 }],
      'configure(): unknown key `queueByte`; did you mean `queueBytes`?\n' +
        'configure(): severity is 9, expected 0 (emergency) to 7 (debug)',
    ],
    [[{ batchAge: 10 }], 'configure(): batchAge is 10, expected a time of at most a day, for example "10ms"'],
    [[{ sender: { class: 'udp' } }], /senderHost is not set, .*: senderClass is udp/],
    [[{ handleSigterm: 'yes' }], 'configure(): handleSigterm is "yes", expected true or false'],
    [[{ filters: [7] }], /filters is a list, expected functions/],
    [[{ filters: 7 }], 'configure(): filters is 7, expected settings by name, or a list of functions'],
    [[{ sender: 5 }], /^configure\(\): sender is 5, expected settings by name, or an object with a method/],
    [[{ sender: 'udp' }], /^configure\(\): sender is "udp", expected settings by name/],
    [[{ sender: [] }], /^configure\(\): sender is \[\], expected settings by name/],
    [[{ logger: () => 'app' }], /^configure\(\): logger is a function/],
    [[{ logger: cyclic }], /^configure\(\): logger is /],
    [[{ severity: 50n }], /^configure\(\): severity is 50, expected/],
    [[5], /^configure\(\) was given 5, expected settings in an object/],
    [[[]], /^configure\(\) was given \[\], expected/],
    [[() => 0], /^configure\(\) was given a function, expected/],
    [[{ logger: 'after' }, { logger: 'later' }], /^configure\(\) was given \{"logger":"later"\}, expected/],
    [['/no/such/file.toml'], /cannot read the configuration \/no\/such\/file\.toml/, 'io'],
  ];
  for (const [given, message, code = 'config'] of table) {
    assert.throws(() => configure(...given), { code, message });
  }
  assert.equal(client.logger, 'before');
});

test('settings are found behind a file that is not there', () => {
  for (const none of [undefined, null]) {
    const client = configure(none, { logger: `behind ${none}`, severity: 3n, sender: memorySenderFactory() });
    assert.deepEqual([client.logger, client.severity], [`behind ${none}`, 3]);
  }
});

const THREADS = `
  const { configure, counter, MetlogClient } = require('metlog');
  const threads = () => require('node:fs').readdirSync('/proc/self/task').length;
`;

test('configured again, what the configuration before has made ends and nothing is lost', async (t) => {
  const file = temporaryFile(t);
  const source = `${THREADS}
    configure({ sender: { class: 'file', filepath: ${JSON.stringify(file)} } });
    const before = threads();
    for (let n = 0; n < 50; n += 1) {
      configure({ logger: String(n), sender: { class: 'file', filepath: ${JSON.stringify(file)} } }).info('x');
      counter('n').incr();
    }
    const deadline = Date.now() + 10000;
    const look = () => {
      if (threads() > before + 5 && Date.now() < deadline) return setTimeout(look, 10);
      console.log(threads() <= before + 5);
    };
    look();`;
  const { stdout, stderr } = await run(source);
  assert.deepEqual([stdout, stderr], ['true\n', '']);
  const messages = messagesIn(file);
  const lines = messages.filter(({ type }) => type === 'oldstyle').map(({ logger }) => Number(logger));
  assert.deepEqual(
    lines.sort((one, other) => one - other),
    Array.from({ length: 50 }, (_, n) => n),
  );
  const sums = messages.filter(({ fields }) => fields.name === 'n');
  assert.equal(
    sums.reduce((all, { payload }) => all + Number(payload), 0),
    50,
  );
});

test('a sender that another client uses as well does not end', async (t) => {
  const file = temporaryFile(t);
  const settings = `{ sender: { class: 'file', filepath: ${JSON.stringify(file)} } }`;
  const source = `${THREADS}
    const other = new MetlogClient(configure(${settings}).sender, 'other');
    configure(${settings});
    setTimeout(() => other.info('still'), 100);`;
  await run(source);
  assert.deepEqual(
    messagesIn(file).map(({ payload }) => payload),
    ['still'],
  );
});

test('settings come before the environment, and that before a file', async (t) => {
  const sent = temporaryFile(t);
  const file = path.join(path.dirname(sent), 'metlog.toml');
  const lines = ['logger = "file"', 'severity = 3', 'disabled_timers = ["slow"]'];
  fs.writeFileSync(file, [...lines, '[sender]', 'class = "file"', `filepath = "${sent}"`].join('\n'));
  const table = [
    [JSON.stringify(file), {}, ['file', 3]],
    [`new URL(${JSON.stringify(pathToFileURL(file))})`, { METLOG_LOGGER: 'environment' }, ['environment', 3]],
    [`${JSON.stringify(file)}, { logger: 'code' }`, { METLOG_LOGGER: 'environment' }, ['code', 3]],
    ['', { METLOG_CONFIG: file }, ['file', 3]],
    ['', { METLOG_LOGGER: 'e', METLOG_SENDER_CLASS: 'file', METLOG_SENDER_FILEPATH: sent }, ['e', 6]],
  ];
  for (const [given, env, expected] of table) {
    const source = `require('metlog').configure(${given}).metlog('services');`;
    const { stderr } = await run(source, { env });
    assert.equal(stderr, '');
    const { logger, severity } = messagesIn(sent).at(-1);
    assert.deepEqual([logger, severity], expected);
  }
});

test('nobody has to configure: the environment does, and what it says wrong is told', async (t) => {
  const sent = temporaryFile(t);
  const env = { METLOG_LOGGER: 'env', METLOG_SENDER_CLASS: 'file', METLOG_SENDER_FILEPATH: sent };
  await run("require('metlog').getClient().info('hello')", { env });
  assert.deepEqual(
    messagesIn(sent).map(({ logger, payload }) => [logger, payload]),
    [['env', 'hello']],
  );
  const source = "const { counter } = require('metlog'); counter('n').incr(); console.log('went on')";
  const wrong = await run(source, { env: { METLOG_SEVERITY: 'high' } });
  assert.equal(wrong.stdout, 'went on\n');
  assert.match(wrong.stderr, /METLOG_SEVERITY is "high".*the defaults are used/s);
});

test('require and import share the default client', async () => {
  const source = `
    import { createRequire } from 'node:module';
    import metlog, { configure, getClient } from 'metlog';
    const required = createRequire(${JSON.stringify(path.join(ROOT, 'index.js'))})('metlog');
    console.log(configure() === required.getClient() && metlog.getClient === required.getClient && getClient === required.getClient);`;
  const { stdout } = await run(source, { node: ['--input-type=module'] });
  assert.equal(stdout, 'true\n');
});

test('every setting of the documentation has a type, and is taken', () => {
  const documented = fs.readFileSync(path.join(ROOT, '../docs/configuration.md'), 'utf8');
  const keys = [...documented.matchAll(/^\| `([a-z_]+)` \|.*`METLOG_/gm)].map(([, key]) => key);
  assert.ok(keys.length > 20, keys.join());
  const types = fs.readFileSync(path.join(ROOT, 'index.d.ts'), 'utf8');
  const [, settings] = /export interface Settings \{(.*?)^\}/ms.exec(types);
  for (const key of keys) {
    const name = key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
    assert.ok(settings.includes(`  ${name}?: `), `${name} is in index.d.ts`);
    assert.throws(() => configure({ [name]: { none: { of: 'these' } } }), {
      code: 'config',
      message: new RegExp(`^configure\\(\\): ${name} is `),
    });
  }
});
