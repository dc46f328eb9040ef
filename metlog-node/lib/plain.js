// JSON of any value at all. `JSON.stringify` is tried first everywhere; this is for what it cannot take.
//
// What JSON has no word for is replaced by a text in brackets, where it stood, and the rest arrives.
'use strict';

/** Deeper values become "[deep]". */
const MAX_DEPTH = 32;

/** Values after these become "[truncated]": shared parts are written each time they are met. */
const MAX_VALUES = 10_000;

const MAX_INTEGER = 2n ** 64n - 1n;
const MIN_INTEGER = -(2n ** 63n);

/** The text of any value; what refuses to become one is "[unreadable]". Unpaired surrogates become U+FFFD. */
function text(value) {
  if (typeof value === 'number') {
    return String(value);
  }
  try {
    return wellFormed(String(value));
  } catch {
    return '[unreadable]';
  }
}

/** The JSON of any value. Never throws. */
function plainJson(value) {
  return new Plain().json(value);
}

class Plain {
  #left = MAX_VALUES;
  #parents = [];

  json(value) {
    switch (typeof value) {
      case 'string':
        return quote(value);
      case 'number':
        return Number.isFinite(value) ? String(value) : 'null';
      case 'boolean':
        return String(value);
      case 'bigint':
        return value >= MIN_INTEGER && value <= MAX_INTEGER ? String(value) : quote(String(value));
      case 'undefined':
        return 'null';
      case 'object':
        return value === null ? 'null' : this.#nested(value);
      default:
        return `"[${typeof value}]"`;
    }
  }

  #nested(value) {
    if (this.#parents.includes(value)) {
      return '"[circular]"';
    }
    if (this.#parents.length >= MAX_DEPTH) {
      return '"[deep]"';
    }
    this.#parents.push(value);
    try {
      return this.#entries(value);
    } catch {
      return '"[unreadable]"';
    } finally {
      this.#parents.pop();
    }
  }

  #entries(value) {
    if (typeof value.toJSON === 'function') {
      return this.json(value.toJSON());
    }
    const items = [];
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) {
        if (this.#exhausted(items, '"[truncated]"')) {
          break;
        }
        items.push(this.#member(value, index));
      }
      return `[${items.join()}]`;
    }
    for (const name of Object.keys(value)) {
      if (this.#exhausted(items, '"[truncated]":true')) {
        break;
      }
      items.push(`${quote(name)}:${this.#member(value, name)}`);
    }
    return `{${items.join()}}`;
  }

  /** Counts one more value; one beyond the bound only leaves the mark. */
  #exhausted(items, mark) {
    this.#left -= 1;
    if (this.#left < 0) {
      items.push(mark);
    }
    return this.#left < 0;
  }

  #member(value, name) {
    try {
      return this.json(value[name]);
    } catch {
      return '"[unreadable]"';
    }
  }
}

function quote(value) {
  return JSON.stringify(wellFormed(value));
}

/** `String.prototype.toWellFormed`, which Node 18 has not, nor a quick way to see that nothing is to be done. */
function wellFormed(value) {
  return value.isWellFormed?.() ? value : value.replace(/\p{Surrogate}/gu, '\ufffd');
}

module.exports = { text, plainJson, wellFormed };
