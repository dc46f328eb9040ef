// Winston: a transport.
//
//     winston.createLogger({ transports: [new MetlogTransport()] });
'use strict';

const { Writable } = require('node:stream');

const { getClient } = require('../configure.js');
const { guarded } = require('./guard.js');
const { errorOf, fieldsOf, severityOf } = require('./levels.js');

/** Where winston keeps a line's level as it was before formats coloured it. */
const LEVEL = Symbol.for('level');

/** Takes what `level` lets pass, the logger's unless given, to `client`, the default one unless given. */
class MetlogTransport extends Writable {
  #client;
  #levels;
  #parent;

  constructor({ client, level, silent = false, handleExceptions = false, handleRejections = false } = {}) {
    super({ objectMode: true });
    this.#client = client;
    Object.assign(this, { level, silent, handleExceptions, handleRejections });
    this.once('pipe', (logger) => {
      this.#levels = logger.levels;
      this.#parent = logger;
    });
  }

  /** What winston looks for in a transport. */
  log(info, done) {
    send(this.#client, info);
    this.emit('logged', info);
    done?.();
  }

  _write(info, _encoding, done) {
    if (this.#isWanted(info)) {
      this.log(info, done);
    } else {
      done();
    }
  }

  #isWanted(info) {
    const isLeftOut = (info.exception === true && !this.handleExceptions) || this.silent;
    const level = this.level ?? this.#parent?.level;
    const most = this.#levels?.[level];
    return !isLeftOut && (most === undefined || most >= this.#levels[info[LEVEL] ?? info.level]);
  }
}

const send = guarded((given, info) => {
  const client = given ?? getClient();
  const { level, message, timestamp: _, ...rest } = info;
  // `logger.error(error)` makes the error itself the line.
  const fields = info instanceof Error ? { ...fieldsOf(rest), err: errorOf(info) } : fieldsOf(rest);
  client.metlog('oldstyle', { severity: severityOf(info[LEVEL] ?? level), payload: textOf(message), fields });
});

function textOf(message) {
  return typeof message === 'string' ? message : (message ?? '');
}

module.exports = { MetlogTransport };
