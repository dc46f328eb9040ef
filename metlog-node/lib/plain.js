// JSON of any value at all. `JSON.stringify` is tried first everywhere; the rest is for what it cannot take.
//
// What JSON has no word for is replaced by a text in brackets, where it stood, and the rest arrives. No value, however
// little memory it has, keeps the thread for long.
'use strict';

/** Deeper values become "[deep]". */
const MAX_DEPTH = 32;

/** Values after these become "[truncated]": shared parts are written each time they are met. */
const MAX_VALUES = 10_000;

/** What a message may have in bytes at most, as the core says (`MAX_MESSAGE_BYTES`). */
const MAX_BYTES = 1024 * 1024;

/** An array this long is looked at for what it really holds. */
const LONG = 1024;

/** At how many of its places. */
const LOOKS = 64;

/** Thrown instead of JSON for what would be refused for its size anyway. */
const TOO_BIG = new Error('the message is too big');

const MAX_INTEGER = 2n ** 64n - 1n;
const MIN_INTEGER = -(2n ** 63n);

/** The text of any value; what refuses to become one is "[unreadable]". Unpaired surrogates become U+FFFD. */
function text(value) {
  if (typeof value === 'number') {
    return String(value);
  }
  try {
    if (isLongAndSparse(value)) {
      return '[truncated]';
    }
    return wellFormed(String(value));
  } catch {
    return '[unreadable]';
  }
}

/** The JSON of what JSON can take, as `JSON.stringify` has it; throws for all else, and `TOO_BIG` for what is over `most`. */
function usualJson(value, most = MAX_BYTES) {
  let left = most;
  return JSON.stringify(value, (name, part) => {
    // Names, texts and other values are no shorter in a message.
    left -= name.length + (typeof part === 'string' ? part.length : 1);
    if (left < 0) {
      throw TOO_BIG;
    }
    if (isLongAndSparse(part)) {
      throw new TypeError('an array that is longer than what it holds');
    }
    return part;
  });
}

/** True for a long array most of whose places are empty, by a look at some. */
function isLongAndSparse(value) {
  if (typeof value !== 'object' || !Array.isArray(value) || value.length <= LONG) {
    return false;
  }
  const step = Math.floor(value.length / LOOKS);
  let holes = 0;
  for (let index = 0; index < LOOKS; index += 1) {
    holes += index * step in value ? 0 : 1;
  }
  return holes > LOOKS / 2;
}

/** The JSON of any value. Never throws. */
function plainJson(value) {
  return new Plain().json(value);
}

class Plain {
  #left = MAX_VALUES;
  /** What is left for texts. */
  #room = MAX_BYTES;
  #parents = [];

  json(value) {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
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
        items.push(this.#member(value, index) ?? 'null');
      }
      return `[${items.join()}]`;
    }
    for (const name of Object.keys(value)) {
      if (this.#exhausted(items, '"[truncated]":true')) {
        break;
      }
      const member = this.#member(value, name);
      if (member !== undefined) {
        items.push(`${this.#text(name)}:${member}`);
      }
    }
    return `{${items.join()}}`;
  }

  #text(value) {
    this.#room -= value.length;
    return this.#room < 0 ? '"[truncated]"' : quote(value);
  }

  /** Counts one more value; one beyond the bound only leaves the mark. */
  #exhausted(items, mark) {
    this.#left -= 1;
    if (this.#left < 0) {
      items.push(mark);
    }
    return this.#left < 0;
  }

  /** What a part of an object or array is; undefined for what JSON leaves out. */
  #member(value, name) {
    try {
      const member = value[name];
      return LEFT_OUT.has(typeof member) ? undefined : this.json(member);
    } catch {
      return '"[unreadable]"';
    }
  }
}

/** What JSON has no word for, and leaves out. */
const LEFT_OUT = new Set(['undefined', 'function', 'symbol']);

function quote(value) {
  return JSON.stringify(wellFormed(value));
}

/** `String.prototype.toWellFormed`, which Node 18 has not, nor a quick way to see that nothing is to be done. */
function wellFormed(value) {
  return value.isWellFormed?.() ? value : value.replace(/\p{Surrogate}/gu, '\ufffd');
}

module.exports = { TOO_BIG, plainJson, text, usualJson, wellFormed };
