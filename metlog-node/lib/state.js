// What a client keeps beside what applications see of it.
//
// It stands under a symbol, not in private fields, and is made when it is first asked for: applications inherit from a
// client as ES5 does, put a client before another object, or wrap one into a proxy.
'use strict';

const { Books } = require('./books.js');

const STATE = Symbol('metlog.state');

/** How a client sums unless it is told otherwise: as the core does. */
const SUMMING = Object.freeze({ aggregate: false, aggregateIntervalMs: 10_000, maxNames: 10_000 });

class State {
  books = new Books();
  summing = SUMMING;
  /** Made when something is summed. */
  sums;
  aggregates;
}

/** The state of a client. */
function stateOf(client) {
  return client[STATE] ?? begin(client);
}

function begin(client) {
  const state = new State();
  // False for an object that is frozen: each call then begins anew, and nothing is thrown.
  Reflect.defineProperty(client, STATE, { value: state });
  return state;
}

/** Sets how a client sums. */
function tune(client, summing) {
  stateOf(client).summing = summing;
}

/** The client that has used a sender first. */
const users = new WeakMap();

/** Senders that several clients have used. */
const shared = new WeakSet();

/** Remembers that the client uses the sender. */
function use(client, sender) {
  const first = users.get(sender);
  if (first === undefined) {
    users.set(sender, new WeakRef(client));
  } else if (first.deref() !== client) {
    shared.add(sender);
  }
}

/** True for a sender that more than one client has used. */
function isShared(sender) {
  return shared.has(sender);
}

module.exports = { isShared, stateOf, tune, use };
