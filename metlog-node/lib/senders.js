// Factories of the senders that come with Metlog.
'use strict';

const native = require('./native.js');
const { metlogError } = require('./errors.js');
const { functionNamed } = require('./named.js');
const { jsonEncoder } = require('./encoders.js');
const { MemorySender, NativeSender } = require('./native_sender.js');

/** Where no settings are given. */
const NONE = Object.freeze({});

function listOf(value) {
  return value === undefined || value === null ? [] : Array.isArray(value) ? [...value] : [value];
}

/**
 * Batches to the sidecar, the usual sender; without `endpoints` to the sidecar of this host. With `delivery` 'acked' they
 * go over its link, and each is kept until the sidecar has it on disk.
 */
function zmqPushSenderFactory(settings) {
  const { endpoints, delivery = 'push' } = settings ?? NONE;
  const addresses = listOf(endpoints).map(String);
  switch (delivery) {
    case 'push':
      return new NativeSender(native.pushSender(addresses));
    case 'acked':
      return ackedSender(addresses);
    default:
      throw metlogError('config', `sender.delivery is "${delivery}", expected "push" or "acked"`);
  }
}

function ackedSender(endpoints) {
  if (endpoints.length === 0) {
    throw metlogError(
      'config',
      'sender.endpoints is missing, expected the link endpoint of the sidecar, such as tcp://127.0.0.1:5567',
    );
  }
  return new NativeSender(native.ackedSender(endpoints));
}

/** Single messages to receivers that subscribe at the addresses `bindstrs`. */
function zmqPubSenderFactory(settings) {
  const { bindstrs } = settings ?? NONE;
  const addresses = listOf(bindstrs).map(String);
  if (addresses.length === 0) {
    throw metlogError(
      'config',
      'sender.bindstrs is missing, expected one address or a list, such as tcp://*:5585',
    );
  }
  return new NativeSender(native.publishSender(addresses));
}

/** One datagram a message to each of `hosts`; missing `ports` repeat the last, extra ones are ignored. */
function udpSenderFactory(settings) {
  const { hosts, ports } = settings ?? NONE;
  const names = listOf(hosts).map(String);
  const numbers = listOf(ports).map(Number);
  const possible = (port) => Number.isInteger(port) && port > 0 && port < 65_536;
  if (names.length === 0 || numbers.length === 0 || !numbers.every(possible)) {
    throw metlogError('config', `Invalid host/port combination: [${listOf(hosts)}] [${listOf(ports)}]`);
  }
  const port = (index) => numbers[Math.min(index, numbers.length - 1)];
  return new NativeSender(
    native.udpSender(
      names,
      names.map((_, index) => port(index)),
    ),
  );
}

/** Lines on standard output; with an `encoder`, a function or the name of one, what that makes of each message. */
function stdoutSenderFactory(settings) {
  const { encoder } = settings ?? NONE;
  if (encoder === undefined || encoder === null) {
    return new StdoutSender(native.stdoutSender());
  }
  const encode = typeof encoder === 'function' ? encoder : functionNamed(encoder, 'sender.encoder');
  return { sendMessage: (message) => process.stdout.write(ended(encode(message))) };
}

/** Lines on standard output; where somebody has put a `write` of his own in place of its own, as tests do, that gets them. */
class StdoutSender extends NativeSender {
  get takesCalls() {
    return !Object.hasOwn(process.stdout, 'write');
  }

  sendMessage(message) {
    if (this.takesCalls) {
      super.sendMessage(message);
    } else {
      process.stdout.write(jsonEncoder(message));
    }
  }
}

/** Text as a line, whether its encoder has ended it or not; bytes as they are. */
function ended(encoded) {
  return typeof encoded === 'string' && !encoded.endsWith('\n') ? `${encoded}\n` : encoded;
}

/** Lines at the end of the file `filePath`. */
function fileSenderFactory(settings) {
  const { filePath } = settings ?? NONE;
  if (typeof filePath !== 'string' || filePath === '') {
    throw metlogError('config', 'sender.filePath is missing, expected the path of a file');
  }
  return new NativeSender(native.fileSender(filePath));
}

/** Keeps messages in memory: `sender.messages` are those sent so far. For tests of applications. */
function memorySenderFactory() {
  return new MemorySender(native.memorySender());
}

module.exports = {
  zmqPushSenderFactory,
  zmqPubSenderFactory,
  udpSenderFactory,
  stdoutSenderFactory,
  fileSenderFactory,
  memorySenderFactory,
};
