// Fields bound for the request under way, whatever it waits for; they cost nothing until somebody binds some.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');

/** Made at the first `bind`. */
let storage;

/**
 * Adds `fields` to every message of every client that is sent by `fn` and by what it starts; gives back what `fn` does.
 * Without `fn` they are bound for the rest of the request under way, or until the binding that is given back ends.
 */
function bind(fields, fn, ...args) {
  storage ??= new AsyncLocalStorage();
  const outer = storage.getStore();
  const bound = Object.freeze(merged(outer, fields));
  if (fn !== undefined) {
    return storage.run(bound, fn, ...args);
  }
  storage.enterWith(bound);
  return new Binding(() => storage.enterWith(outer));
}

/** Fields bound for the rest of a request. */
class Binding {
  #undo;

  constructor(undo) {
    this.#undo = undo;
  }

  /** From now on the fields are what they were before. */
  end() {
    this.#undo();
    this.#undo = () => {};
  }
}

if (Symbol.dispose !== undefined) {
  Binding.prototype[Symbol.dispose] = Binding.prototype.end;
}

/** The fields of a message: those of its call over those that are bound. */
function withBound(fields) {
  const bound = storage?.getStore();
  return bound === undefined ? fields : merged(bound, fields);
}

/** Both, the second over the first. What is no object goes where misfits go. */
function merged(bound, fields) {
  if (fields === undefined || fields === null) {
    return { ...bound };
  }
  if (typeof fields !== 'object' || Array.isArray(fields)) {
    return { ...bound, original: { fields } };
  }
  try {
    return { ...bound, ...(typeof fields.toJSON === 'function' ? fields.toJSON() : fields) };
  } catch {
    return { ...bound, ...readable(fields) };
  }
}

/** Those of the properties that can be read. */
function readable(fields) {
  const copy = {};
  try {
    for (const name of Object.keys(fields)) {
      copy[name] = memberOf(fields, name);
    }
  } catch {
    // A proxy that does not even tell its names.
  }
  return copy;
}

function memberOf(fields, name) {
  try {
    return fields[name];
  } catch {
    return '[unreadable]';
  }
}

module.exports = { bind, withBound };
