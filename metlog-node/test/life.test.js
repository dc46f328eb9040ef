// The end of a process: what was sent just before it arrives, and nothing keeps it from coming.
'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const test = require('node:test');

const { ROOT, messagesIn, run, temporaryFile } = require('./support.js');

const CLIENT = `
  const { MetlogClient } = require('metlog');
  const { fileSenderFactory, zmqPushSenderFactory } = require('metlog/senders');
  const client = new MetlogClient(fileSenderFactory({ filePath: process.argv[1] }), 'child');
  const send = (count) => { for (let n = 0; n < count; n += 1) client.incr('n', { fields: { n } }); };
`;

const ENDS = [
  ['a natural end', 'send(1000);', { code: 0, signal: null }],
  ['process.exit', 'send(1000); process.exit(3);', { code: 3, signal: null }],
  ['an uncaught exception', 'send(1000); throw new Error("uncaught");', { code: 1, signal: null }],
  [
    'a client that was let go',
    '(() => { const own = new MetlogClient(client.sender); own.metlog("a"); })(); send(999);',
    { code: 0, signal: null },
  ],
];

for (const [name, source, expected] of ENDS) {
  test(`${name} loses nothing`, async (t) => {
    const file = temporaryFile(t);
    const { code, signal } = await run(CLIENT + source, { args: [file] });
    assert.deepEqual({ code, signal }, expected);
    assert.equal(messagesIn(file).length, 1000);
  });
}

/** Ways to end behind which listeners of `exit` still run. */
const LISTENED = {
  'a natural end': '',
  'process.exit': 'process.exit(0);',
  'an uncaught exception': 'throw new Error("uncaught");',
};

for (const [name, source] of Object.entries(LISTENED)) {
  test(`at ${name} what a listener of exit sends and sums arrives`, async (t) => {
    const file = temporaryFile(t);
    const listening = `
      const counter = client.counter('summed');
      counter.incr(1);
      process.on('exit', () => { send(10); counter.incr(7); client.aggregates.timer('took').record(3); });`;
    await run(CLIENT + listening + source, { args: [file] });
    const messages = messagesIn(file);
    const named = (name) => messages.filter(({ fields }) => fields.name === name);
    assert.deepEqual([named('n').length, named('took').length], [10, 1]);
    const summed = named('summed').reduce((all, { payload }) => all + Number(payload), 0);
    assert.equal(summed, 8);
  });
}

test('a process whose sidecar is away ends within its two seconds', async () => {
  const source = `${CLIENT} client.setup(zmqPushSenderFactory({ endpoints: 'tcp://127.0.0.1:1' })); send(10);`;
  const started = performance.now();
  const { code } = await run(source, { args: ['/dev/null'] });
  assert.equal(code, 0);
  assert.ok(performance.now() - started < 6000, `${performance.now() - started} ms`);
});

/** Sends SIGTERM to a child once it has said that it is ready. */
function terminated(source, file) {
  let told = false;
  const onStdout = (child, text) => {
    if (text.includes('ready') && !told) {
      told = true;
      child.kill('SIGTERM');
    }
  };
  return run(`${CLIENT} setInterval(() => {}, 1000); ${source}; console.log('ready');`, {
    args: [file],
    onStdout,
  });
}

test('SIGTERM ends by the signal after what was sent has left, where asked for', async (t) => {
  const file = temporaryFile(t);
  const { signal } = await terminated('client.handleSigterm(); client.handleSigterm(); send(1000)', file);
  assert.equal(signal, 'SIGTERM');
  assert.equal(messagesIn(file).length, 1000);
});

test('on SIGTERM an application with a listener of its own decides', async (t) => {
  const file = temporaryFile(t);
  const own = "process.on('SIGTERM', () => { send(10); process.exit(7); })";
  const { code } = await terminated(`client.handleSigterm(); ${own}; send(1)`, file);
  assert.equal(code, 7);
  assert.equal(messagesIn(file).length, 11);
});

/** A first process is one whose end no signal brings about that it does not listen for. */
const CONTAINER = ['--user', '--map-root-user', '--pid', '--fork'];

test('SIGTERM ends the first process of a container after what was sent has left', (t) => {
  if (spawnSync('unshare', [...CONTAINER, 'true']).status !== 0) {
    return t.skip('no containers here');
  }
  const file = temporaryFile(t);
  const source = `${CLIENT} client.handleSigterm(); send(1000); setTimeout(() => process.exit(9), 10_000);
    process.on('exit', () => send(1));
    process.kill(process.pid, 'SIGTERM');`;
  const { status } = spawnSync('unshare', [...CONTAINER, process.execPath, '-e', source, '--', file], {
    cwd: ROOT,
  });
  assert.equal(status, 143);
  assert.equal(messagesIn(file).length, 1001);
});

test('without asking SIGTERM is left alone', async (t) => {
  const { signal } = await terminated("console.log(process.listenerCount('SIGTERM'))", temporaryFile(t));
  assert.equal(signal, 'SIGTERM');
});
