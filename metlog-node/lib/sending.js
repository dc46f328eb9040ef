// The way of one call to the client's sender: defaults, bound fields, filters, capture; and what is refused on it.
'use strict';

const { types } = require('node:util');

const native = require('./native.js');
const captured = require('./captured.js');
const { callOf, fieldsOf, isObject, messageOf } = require('./call.js');
const { withBound } = require('./context.js');
const { isOnHead } = require('./heads.js');
const { NativeSender } = require('./native_sender.js');
const { text } = require('./plain.js');
const { stateOf } = require('./state.js');

/** The client's method: sends a message of any type. */
function metlog(type, options) {
  send(this, type, options);
}

/**
 * Sends what another method has made of its arguments, `own`. Where the application has a `metlog` of its own, in a
 * subclass, on the client or as a plugin, that gets it, as ever.
 */
function say(client, type, options, own) {
  if (client.metlog === metlog) {
    return send(client, type, options, own);
  }
  try {
    client.metlog(type, optionsWith(options, own));
  } catch (error) {
    giveUp(client, 'send', error);
  }
}

/** The options of a message that says all of this. */
function optionsWith(options, { severity, payload, name, rate }) {
  const given = isObject(options) ? options : undefined;
  const fields = fieldsOf(given?.fields);
  return {
    ...given,
    ...(severity === undefined ? undefined : { severity }),
    payload,
    fields: name === undefined ? fields : { ...fields, name, rate },
  };
}

/** True for a sender that takes calls as they are; any other gets message objects. */
function takesCalls(sender) {
  return sender instanceof NativeSender && sender.takesCalls;
}

/** True when nothing written in JavaScript has to see messages on their way. */
function isDirect(client) {
  return (
    takesCalls(client.sender) &&
    client.metlog === metlog &&
    client.filters.every(isOnHead) &&
    !captured.isCapturing()
  );
}

/** Sends a message, or an exception's `report` with it. */
function send(client, type, options, own, report) {
  let reason = 'encode';
  try {
    const call = callOf(client, type, options, own);
    call.fields = withBound(call.fields);
    reason = 'filter_error';
    const message = filtered(client, call);
    if (message === null) {
      return refuse(client, 'filtered');
    }
    reason = 'send';
    if (captured.isCapturing()) {
      return captured.capture(message ?? messageOf(call));
    }
    if (!takesCalls(client.sender) || message !== undefined) {
      sendMessage(client, message ?? messageOf(call));
    } else if (report === undefined) {
      client.sender.take(call);
    } else {
      client.sender.takeException(call, report);
    }
  } catch (error) {
    giveUp(client, reason, error);
  }
}

/** Null when a filter says no; else the message object, if a filter needed one (it may have changed it). */
function filtered(client, call) {
  let message;
  for (const filter of client.filters) {
    if (!isOnHead(filter)) {
      message ??= messageOf(call);
    }
    if (!filter(message ?? call)) {
      return null;
    }
  }
  return message;
}

/** Sends a sum to a sender written in JavaScript. Filters see no sums, as on their way through the core. */
function sendSum(client, type, payload, fields) {
  try {
    sendMessage(client, messageOf(callOf(client, type, { payload, fields })));
  } catch (error) {
    giveUp(client, 'send', error);
  }
}

/** The path of senders written in JavaScript. */
function sendMessage(client, message) {
  const { sender } = client;
  if (sender === undefined || sender === null) {
    throw new Error('the client has no sender');
  }
  const sending = sender.sendMessage(message);
  if (takesCalls(sender)) {
    return;
  }
  const { books } = stateOf(client);
  books.send();
  if (types.isPromise(sending)) {
    sending.catch((error) => {
      books.unsend('send');
      native.warn('send', `a message was given up: ${text(error)}`);
    });
  }
}

/** Counts a message that is not sent, and says so. */
function giveUp(client, reason, error) {
  refuse(client, reason);
  native.warn(reason, `a message was refused (${reason}): ${text(error)}`);
}

function refuse(client, reason) {
  const books = client.sender instanceof NativeSender ? client.sender : stateOf(client).books;
  books.refuse(reason);
}

module.exports = { giveUp, isDirect, metlog, say, send, sendSum };
