// Exceptions that nobody catches: they are sent, and the process does what it would have done.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { eventOf, messagesIn, run, temporaryFile } = require('./support.js');

const CLIENT = `
  const { MetlogClient, captureUncaught } = require('metlog');
  const { fileSenderFactory, zmqPushSenderFactory } = require('metlog/senders');
  const client = new MetlogClient(fileSenderFactory({ filePath: process.argv[1] }), 'child');
  const stop = captureUncaught(client);
  client.info('before');
`;

const fail = 'setImmediate(() => { throw new TypeError("nobody cares"); });';
const reject = 'Promise.reject(new TypeError("nobody cares"));';

const goOn = `process.on('uncaughtException', () => client.info('goes on'));`;

/** What happens; the end of the process, the origin that is told (none: nothing is sent), and the lines around it. */
const ENDS = [
  ['an exception', fail, { code: 1, origin: 'uncaughtException' }],
  ['a rejection', reject, { code: 1, origin: 'unhandledRejection' }],
  [
    'an exception that the application handles',
    goOn + fail,
    { code: 0, origin: 'uncaughtException', more: 1 },
  ],
  [
    'a rejection that the application handles',
    `process.on('unhandledRejection', () => client.info('goes on'));${reject}`,
    { code: 0, more: 1 },
  ],
  [
    'an exception after a second call',
    `captureUncaught(client);${fail}`,
    { code: 1, origin: 'uncaughtException' },
  ],
  ['an exception after the end of capturing', `stop(); stop();${fail}`, { code: 1 }],
  [
    'an exception while the method is broken',
    `client.addMethod('sendException', () => { throw new Error('broken'); });${fail}`,
    { code: 1 },
  ],
];

for (const [name, source, { code, origin, more = 0 }] of ENDS) {
  test(`${name} is ${origin ? 'sent' : 'left alone'}, and the process ends with ${code}`, async (t) => {
    const file = temporaryFile(t);
    const ended = await run(CLIENT + source, { args: [file] });
    assert.deepEqual({ code: ended.code, signal: ended.signal }, { code, signal: null });
    assert.equal(ended.stderr.includes('TypeError: nobody cares'), code === 1);
    const messages = messagesIn(file);
    const captured = messages.filter(({ type }) => type === 'sentry');
    assert.deepEqual(
      captured.map((message) => [message.severity, eventOf(message).message, eventOf(message).extra.origin]),
      origin ? [[1, 'TypeError: nobody cares', origin]] : [],
    );
    assert.equal(messages.length, 1 + captured.length + more);
  });
}

test('without a sidecar the process ends within its two seconds', async () => {
  const away = "client.setup(zmqPushSenderFactory({ endpoints: 'tcp://127.0.0.1:1' }));";
  const started = performance.now();
  const { code } = await run(CLIENT + away + fail, { args: ['/dev/null'] });
  assert.equal(code, 1);
  assert.ok(performance.now() - started < 6000, `${performance.now() - started} ms`);
});
