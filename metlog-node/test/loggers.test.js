// Pino and winston: their lines as messages.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { memoryClient, messagesIn, run, temporaryFile, until } = require('./support.js');

test("pino: lines are messages at their severity, with pino's own time, name and process", () => {
  const { client, sender } = memoryClient('app');
  const logger = require('pino')({ level: 'trace' }, require('metlog/pino')({ client }));
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) {
    logger[level]({ disk: 91 }, 'disk is %d%% full', 91);
  }
  logger.child({ name: 'inner', request: 7 }).info('from a child');
  logger.error(new TypeError('broken'));
  const messages = sender.messages;
  assert.deepEqual(
    messages.map(({ severity }) => severity),
    [7, 7, 6, 4, 3, 2, 6, 3],
  );
  const [first] = messages;
  assert.deepEqual([first.type, first.payload, first.fields], ['oldstyle', 'disk is 91% full', { disk: 91 }]);
  assert.deepEqual([first.logger, first.metlog_pid], ['app', process.pid]);
  assert.ok(Math.abs(Date.parse(first.timestamp) - Date.now()) < 60_000, first.timestamp);
  assert.deepEqual([messages[6].logger, messages[6].fields], ['inner', { request: 7 }]);
  assert.deepEqual([messages[7].payload, messages[7].fields.err.type], ['broken', 'TypeError']);
});

test('pino: the text of a line may have another key', () => {
  const { client, sender } = memoryClient();
  const stream = require('metlog/pino')({ client, messageKey: 'message' });
  const logger = require('pino')({ messageKey: 'message' }, stream);
  logger.info({ msg: 'a field' }, 'the text');
  stream.write('no JSON\n');
  const seen = sender.messages.map(({ payload, fields }) => [payload, fields]);
  assert.deepEqual(seen, [
    ['the text', { msg: 'a field' }],
    ['no JSON', {}],
  ]);
});

test('pino: pieces of lines, several in one piece, and what is no JSON', () => {
  const { client, sender } = memoryClient();
  const stream = require('metlog/pino').transport({ client });
  const emoji = Buffer.from('{"level":30,"msg":"\u{1f600}"}\n');
  stream.write('{"level":30,"ms');
  stream.write('g":"one"}\n{"level":40,"msg":"two"}\nno JSON\n');
  stream.write(emoji.subarray(0, 22));
  stream.write(emoji.subarray(22));
  stream.write('[]\nnull\n7\n');
  assert.deepEqual(
    sender.messages.map(({ severity, payload }) => [severity, payload]),
    [
      [6, 'one'],
      [4, 'two'],
      [6, 'no JSON'],
      [6, '\u{1f600}'],
      [6, ''],
      [6, 'null'],
      [6, '7'],
    ],
  );
});

test('pino: a line that nobody has ended is one at the end of the stream', async () => {
  const { client, sender } = memoryClient();
  const stream = require('metlog/pino').transport({ client });
  stream.write('{"level":30,"msg":"first"}\nhalf a lin');
  await new Promise((resolve) => stream.end('e', resolve));
  assert.deepEqual(
    sender.messages.map(({ payload }) => payload),
    ['first', 'half a line'],
  );
});

test("pino and winston: what is wrong with the default client is not the caller's", async () => {
  const source = `
    const { errors } = require('metlog/http');
    require('pino')(require('metlog/pino')()).info('from pino');
    const { MetlogTransport } = require('metlog/winston');
    require('winston').createLogger({ transports: [new MetlogTransport()] }).info('from winston');
    require('metlog/fastify').logger().info('from fastify');
    console.log(errors());
    const stream = require('metlog/pino')();
    stream.end('line', () => console.log('ended', errors()));`;
  const { code, stdout, stderr } = await run(source, { env: { METLOG_QUEUE_BYTES: 'abc' } });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^3\nended \d/);
  assert.match(stderr, /METLOG_QUEUE_BYTES is "abc"/);
});

test('pino: a client that cannot flush harms no end of a stream', async () => {
  for (const flushAsync of [() => Promise.reject(new Error('no')), undefined]) {
    const stream = require('metlog/pino').transport({ client: { flushAsync } });
    await new Promise((resolve, reject) => stream.on('error', reject).end(resolve));
  }
});

test("pino: in a thread of pino's nothing is lost at the end of the process", async (t) => {
  const file = temporaryFile(t);
  const source = `
    const options = { sender: { class: 'file', filepath: process.argv[1] }, logger: 'app' };
    const logger = require('pino')({ transport: { target: require.resolve('metlog/pino'), options } });
    for (let n = 0; n < 1000; n += 1) logger.info({ n }, 'line');`;
  const { code, stderr } = await run(source, { args: [file] });
  assert.deepEqual([code, stderr], [0, '']);
  const messages = messagesIn(file);
  assert.deepEqual([messages.length, messages.at(-1).fields, messages[0].logger], [1000, { n: 999 }, 'app']);
});

test('winston: lines are messages at their severity, with their metadata', async () => {
  const winston = require('winston');
  const { MetlogTransport } = require('metlog/winston');
  const { client, sender } = memoryClient();
  const logger = winston.createLogger({
    levels: { ...winston.config.syslog.levels, ...winston.config.npm.levels },
    level: 'verbose',
    format: winston.format.combine(winston.format.colorize(), winston.format.timestamp()),
    transports: [new MetlogTransport({ client })],
  });
  for (const level of ['error', 'warn', 'info', 'http', 'verbose', 'debug', 'silly']) {
    logger.log(level, 'disk is full', { disk: 91 });
  }
  logger.error(new TypeError('broken'));
  logger.child({ request: 7 }).info('from a child', { error: new RangeError('inner') });
  logger.end();
  await until(() => sender.messages.length === 7, 'all lines arrive');
  const messages = sender.messages;
  assert.deepEqual(
    messages.map(({ severity }) => severity),
    [3, 4, 6, 6, 7, 3, 6],
  );
  const [first] = messages;
  assert.deepEqual([first.type, first.payload, first.fields], ['oldstyle', 'disk is full', { disk: 91 }]);
  assert.equal(messages[5].payload, 'broken');
  assert.match(messages[5].fields.err.stack, /TypeError: broken\n/);
  const { request, error } = messages[6].fields;
  assert.deepEqual([request, error.type, error.message], [7, 'RangeError', 'inner']);
});

test('winston: a level of its own, silence, and exceptions that nobody catches', async (t) => {
  const winston = require('winston');
  const { MetlogTransport } = require('metlog/winston');
  const { client, sender } = memoryClient();
  const transports = [
    new MetlogTransport({ client, level: 'warn' }),
    new MetlogTransport({ client, silent: true }),
  ];
  const logger = winston.createLogger({ transports });
  logger.info('not wanted');
  logger.warn('wanted');
  await until(() => sender.messages.length > 0, 'the line arrives');
  assert.deepEqual(
    sender.messages.map(({ payload }) => payload),
    ['wanted'],
  );
  const file = temporaryFile(t);
  const source = `
    const { MetlogClient } = require('metlog');
    const { fileSenderFactory } = require('metlog/senders');
    const { MetlogTransport } = require('metlog/winston');
    const client = new MetlogClient(fileSenderFactory({ filePath: process.argv[1] }), 'app');
    require('winston').createLogger({ transports: [new MetlogTransport({ client, handleExceptions: true })] });
    setImmediate(() => { throw new Error('uncaught'); });`;
  assert.equal((await run(source, { args: [file] })).code, 1);
  const [message] = messagesIn(file);
  assert.match(message.payload, /uncaughtException: uncaught/);
  assert.equal(message.severity, 3);
});
