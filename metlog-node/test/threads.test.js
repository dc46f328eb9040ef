// Worker threads: each has the addon for itself, and its end is no loss.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { Worker } = require('node:worker_threads');

const { eventOf, memoryClient, messagesIn, run, temporaryFile, until } = require('./support.js');

const THREAD = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { MetlogClient } = require('metlog');
  const { fileSenderFactory } = require('metlog/senders');
  const client = new MetlogClient(fileSenderFactory({ filePath: workerData.file }), 'thread');
  for (let n = 0; n < 100; n += 1) client.incr('n');
  if (workerData.stay) setInterval(() => parentPort.postMessage('ready'), 5);
`;

test('a thread sends, ends, and leaves the clients of others alone', async (t) => {
  const file = temporaryFile(t);
  const { client, sender } = memoryClient();
  client.incr('before');
  const threads = [1, 2, 3].map(() => new Worker(THREAD, { eval: true, workerData: { file } }));
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.on('exit', resolve))));
  await until(() => messagesIn(file).length === 300, 'the messages of the threads arrive');
  client.incr('after');
  assert.equal(sender.messages.length, 2);
});

test('a thread that is terminated loses nothing', async (t) => {
  const file = temporaryFile(t);
  const thread = new Worker(THREAD, { eval: true, workerData: { file, stay: true } });
  await new Promise((resolve) => thread.once('message', resolve));
  await thread.terminate();
  await until(() => messagesIn(file).length === 100, 'the messages of the thread arrive');
});

test('an exception that a thread does not catch is sent by its client', async (t) => {
  const file = temporaryFile(t);
  const fail =
    "require('metlog').captureUncaught(client); setImmediate(() => { throw new Error('thrown'); });";
  const thread = new Worker(THREAD + fail, { eval: true, workerData: { file } });
  const error = await new Promise((resolve) => thread.once('error', resolve));
  assert.equal(error.message, 'thrown');
  await until(() => messagesIn(file).length === 101, 'the messages of the thread arrive');
  assert.equal(eventOf(messagesIn(file).at(-1)).message, 'Error: thrown');
});

test('a process ends well when only its threads have the addon', async (t) => {
  const file = temporaryFile(t);
  const source = `
    const { Worker } = require('node:worker_threads');
    const workerData = { file: process.argv[1] };
    let left = 5;
    const next = () => {
      if (left-- > 0) new Worker(${JSON.stringify(THREAD)}, { eval: true, workerData }).on('exit', next);
    };
    next();`;
  const { code, signal, stderr } = await run(source, { args: [file] });
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  assert.equal(messagesIn(file).length, 500);
});
