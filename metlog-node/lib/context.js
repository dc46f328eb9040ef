// Fields bound for the request under way, whatever it waits for; they cost nothing until somebody binds some.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');

const { isObject } = require('./call.js');

/** Made at the first `bind`. */
let storage;

/** How many bindings have ended: what was merged before the last one may hold fields of it. */
let endings = 0;

/** Bindings without a function lie one on another in a loop that ends none; those below so many can end no more. */
const DEEPEST = 64;

/** The fields of one binding, over those of the bindings around it. */
class Layer {
  #outer;
  #own;
  #merged;
  #endings;
  #isOver = false;
  #depth;

  constructor(outer, own) {
    const around = Layer.#standing(outer);
    this.#outer = around?.#depth === DEEPEST ? new Layer(undefined, around.fields()) : around;
    this.#own = own;
    this.#depth = (this.#outer?.#depth ?? 0) + 1;
  }

  /** The innermost of the bindings that has not ended. */
  static #standing(layer) {
    let standing = layer;
    while (standing?.#isOver) {
      standing = standing.#outer;
    }
    return standing;
  }

  /** What is bound here; undefined where all has ended. */
  fields() {
    if (this.#endings !== endings) {
      this.#endings = endings;
      this.#merged = this.#merge();
    }
    return this.#merged;
  }

  #merge() {
    const around = Layer.#standing(this.#outer)?.fields();
    if (this.#isOver) {
      return around;
    }
    return Object.freeze(around === undefined ? { ...this.#own } : { ...around, ...this.#own });
  }

  end() {
    this.#isOver = true;
    endings += 1;
  }
}

/**
 * Adds `fields` to every message of every client that is sent by `fn` and by what it starts; gives back what `fn` does.
 * Without `fn` they are bound for the rest of the request under way, or until the binding that is given back ends.
 */
function bind(fields, fn, ...args) {
  storage ??= new AsyncLocalStorage();
  const layer = new Layer(storage.getStore(), merged({}, fields));
  if (fn !== undefined) {
    return storage.run(layer, fn, ...args);
  }
  storage.enterWith(layer);
  return new Binding(layer);
}

/** Fields bound for the rest of a request. */
class Binding {
  #layer;

  constructor(layer) {
    this.#layer = layer;
  }

  /** From now on the fields are not bound any more, also in what was started while they were. */
  end() {
    this.#layer.end();
  }
}

if (Symbol.dispose !== undefined) {
  Binding.prototype[Symbol.dispose] = Binding.prototype.end;
}

/** What is bound here and now, for `restore`. */
function current() {
  return storage?.getStore();
}

/** Binds what was bound when `current` gave it back, and nothing else. */
function restore(bound) {
  if (bound !== current()) {
    storage.enterWith(bound);
  }
}

/** The fields of a message: those of its call over those that are bound. */
function withBound(fields) {
  const bound = storage?.getStore()?.fields();
  return bound === undefined ? fields : merged(bound, fields);
}

/** Both, the second over the first. What is no object goes where misfits go. */
function merged(bound, fields) {
  if (fields === undefined || fields === null) {
    return { ...bound };
  }
  try {
    const isOwnJson = isObject(fields) && typeof fields.toJSON === 'function';
    const given = isOwnJson ? fields.toJSON() : fields;
    return { ...bound, ...(isObject(given) ? given : { original: { fields } }) };
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

module.exports = { bind, current, restore, withBound };
