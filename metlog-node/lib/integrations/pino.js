// Pino: a transport, in a thread of pino's or as its destination.
//
//     pino({ transport: { target: 'metlog/pino', options: settings } });
//     pino(transport({ client }));
'use strict';

const { StringDecoder } = require('node:string_decoder');
const { Writable } = require('node:stream');

const { configure, getClient } = require('../configure.js');
const { guarded } = require('./guard.js');
const { severityOf } = require('./levels.js');

/** How long the end of the transport waits for what is left. */
const FLUSH_MS = 2000;

/**
 * A stream of pino's lines. Its options are a `client`, or the settings of `configure` for the default client of the
 * thread it runs in; without any it uses that client as it is. `messageKey` is as pino has it. Two more are pino's own.
 */
function transport({ client, messageKey = 'msg', $context: _, pinoWillSendConfig: __, ...settings } = {}) {
  const configured = Object.keys(settings).length > 0 ? configure(settings) : undefined;
  const sender = client ?? configured;
  const lines = new Lines((line) => send(sender, messageKey, line));
  return new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      lines.add(chunk);
      done();
    },
    final(done) {
      lines.end();
      flushed(sender).finally(done);
    },
  });
}

/** Pieces of text put together to lines. */
class Lines {
  #take;
  #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(take) {
    this.#take = take;
  }

  add(chunk) {
    const lines = (this.#rest + (typeof chunk === 'string' ? chunk : this.#decoder.write(chunk))).split('\n');
    this.#rest = lines.pop();
    this.#takeAll(lines);
  }

  /** What is left is a line, if nobody has ended it. */
  end() {
    this.#takeAll([this.#rest + this.#decoder.end()]);
    this.#rest = '';
  }

  #takeAll(lines) {
    for (const line of lines.filter(Boolean)) {
      this.#take(line);
    }
  }
}

/** Waits for what is left; what goes wrong is no reason for pino to fail. */
async function flushed(client) {
  await flush(client)?.catch(() => {});
}

const flush = guarded(async (given) => (given ?? getClient()).flushAsync(FLUSH_MS));

const send = guarded((given, messageKey, line) => {
  const client = given ?? getClient();
  // One that is no JSON, as a child that writes to the same stream may leave, is a text.
  const record = recordOf(line) ?? { [messageKey]: line };
  const { [messageKey]: payload = '', level, time, pid, hostname, name, ...fields } = record;
  const options = { severity: severityOf(level), payload, timestamp: time, pid, hostname, fields };
  client.metlog('oldstyle', name === undefined ? options : { ...options, logger: name });
});

/** What pino has written; undefined for what it has not. */
function recordOf(line) {
  try {
    const record = JSON.parse(line);
    return typeof record === 'object' && record !== null ? record : undefined;
  } catch {
    return undefined;
  }
}

module.exports = transport;
module.exports.transport = transport;
