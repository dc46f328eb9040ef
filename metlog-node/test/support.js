// What several tests use.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const zlib = require('node:zlib');

const { MetlogClient } = require('metlog');
const { memorySenderFactory } = require('metlog/senders');

const ROOT = path.resolve(__dirname, '..');

const NINE_KEYS = [
  'type',
  'timestamp',
  'logger',
  'severity',
  'payload',
  'fields',
  'env_version',
  'metlog_pid',
  'metlog_hostname',
];

/** A client and the memory it sends to. */
function memoryClient(logger = 'app', ...rest) {
  const sender = memorySenderFactory();
  return { client: new MetlogClient(sender, logger, ...rest), sender };
}

/** The path of a file that is not there yet; its folder goes when test `t` ends. */
function temporaryFile(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'metlog-node-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return path.join(folder, 'messages.json');
}

/** The messages in a file of JSON lines; a line that is still being written is none yet. */
function messagesIn(file) {
  const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => JSON.parse(line));
}

/** The event in a `sentry` message. */
function eventOf(message) {
  return JSON.parse(zlib.inflateSync(Buffer.from(message.payload, 'base64')));
}

/** Runs a program in a process of its own, to its end. */
function run(source, { args = [], node = [], env = {}, onStdout = () => {} } = {}) {
  const options = { cwd: ROOT, env: { ...process.env, ...env } };
  const child = spawn(process.execPath, [...node, '-e', source, '--', ...args], options);
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      output[stream] += text;
      onStdout(child, output.stdout);
    });
  }
  const deadline = setTimeout(() => child.kill('SIGKILL'), 20_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      resolve({ code, signal, ...output });
    });
  });
}

/** Waits until `condition` holds. */
async function until(condition, what) {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) {
      throw new Error(`waited too long until ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

module.exports = { NINE_KEYS, ROOT, eventOf, memoryClient, messagesIn, run, temporaryFile, until };
