// Looks at objects of the application without running any of its code: no getter, no proxy, no `toString`, no `toJSON`.
'use strict';

const { types } = require('node:util');

const { text, wellFormed } = require('./plain.js');

/** What is longer is cut here; the core cuts to what an event may hold, and shows that it did. */
const MAX_TEXT = 1000;

/** The core's bounds and marks (`exception/bound.rs`): a copy of everything would cost what the bounds are to save. */
const MAX_DEPTH = 5;
const MAX_ITEMS = 50;
const CUT = '...';

/** Values after these are left out: shared parts are copied each time they are met. */
const MAX_VALUES = 1000;

/** A longer chain of prototypes is not followed. */
const MAX_PROTOTYPES = 100;

/** Getters of the language itself; newer engines have one for `stack`. */
const TRUSTED_GETTERS = new Set(
  [
    [new Error('probe'), 'stack'],
    [Error.prototype, 'stack'],
    [DOMException.prototype, 'name'],
    [DOMException.prototype, 'message'],
  ].map(([object, name]) => getterOf(object, name)),
);
TRUSTED_GETTERS.delete(undefined);

function getterOf(object, name) {
  try {
    return Object.getOwnPropertyDescriptor(object, name)?.get;
  } catch {
    // The application's `Error.prepareStackTrace` has thrown.
    return undefined;
  }
}

/** True for an object that can be looked at. */
function isReadable(value) {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && !types.isProxy(value);
}

/** The property with its value and how many prototypes away it is; nothing when reading it would run code. */
function find(object, name) {
  let holder = object;
  for (let depth = 0; isReadable(holder) && depth < MAX_PROTOTYPES; depth += 1) {
    const found = Object.getOwnPropertyDescriptor(holder, name);
    if (found !== undefined) {
      const known = TRUSTED_GETTERS.has(found.get);
      return { depth, value: known ? Reflect.apply(found.get, object, []) : found.value };
    }
    holder = Object.getPrototypeOf(holder);
  }
  return undefined;
}

/** The value of a property; nothing for what cannot be read. */
function dataOf(object, name) {
  try {
    return find(object, name)?.value;
  } catch {
    return undefined;
  }
}

/** True when the prototype is one of the object's. */
function inherits(object, prototype) {
  let holder = object;
  for (let depth = 0; isReadable(holder) && depth < MAX_PROTOTYPES; depth += 1) {
    if (holder === prototype) {
      return true;
    }
    holder = Object.getPrototypeOf(holder);
  }
  return false;
}

/** A text, or any value that is no object, as bounded text. */
function boundedText(value, most = MAX_TEXT) {
  return wellFormed(typeof value === 'string' ? value.slice(0, most) : text(value).slice(0, most));
}

/**
 * The object's own enumerable properties as values that JSON holds, without those named; it is to stand this many levels
 * within the event's `extra`. Never throws.
 */
function propertiesOf(object, { level = 0, without = [] } = {}) {
  try {
    if (!isReadable(object) || ArrayBuffer.isView(object)) {
      return {};
    }
    // All of its names would be asked for.
    if (Array.isArray(object) && object.length > MAX_ITEMS) {
      return { [CUT]: `<list of ${object.length}>` };
    }
    return new Copy(MAX_DEPTH - level, without).entries(object);
  } catch {
    return {};
  }
}

class Copy {
  #left = MAX_VALUES;
  #parents = [];
  #depth;
  #without;

  constructor(depth, without) {
    this.#depth = depth;
    this.#without = without;
  }

  entries(object) {
    const copy = Object.create(null);
    const without = this.#parents.length === 0 ? this.#without : [];
    const names = Object.keys(object).filter((name) => !without.includes(name));
    this.#parents.push(object);
    for (const name of names.slice(0, roomFor(names))) {
      if (this.#left <= 0) {
        copy[CUT] = 'no room';
        break;
      }
      copy[boundedText(name)] = this.#member(object, name);
    }
    this.#parents.pop();
    if (names.length > MAX_ITEMS) {
      copy[CUT] = more(names);
    }
    return copy;
  }

  #items(list) {
    const copy = [];
    this.#parents.push(list);
    for (let index = 0; index < roomFor(list); index += 1) {
      if (this.#left <= 0) {
        copy.push(CUT);
        break;
      }
      copy.push(this.#member(list, index));
    }
    this.#parents.pop();
    if (list.length > MAX_ITEMS) {
      copy.push(more(list));
    }
    return copy;
  }

  #member(object, name) {
    this.#left -= 1;
    try {
      const found = Object.getOwnPropertyDescriptor(object, name);
      return found?.get === undefined ? this.#value(found?.value) : '[getter]';
    } catch {
      return '[unreadable]';
    }
  }

  #value(value) {
    switch (typeof value) {
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) ? value : null;
      case 'undefined':
        return null;
      case 'object':
        return value === null ? null : this.#nested(value);
      case 'function':
        return '[function]';
      default:
        return boundedText(value);
    }
  }

  #nested(value) {
    if (types.isProxy(value)) {
      return '[proxy]';
    }
    if (types.isDate(value)) {
      const millis = Date.prototype.getTime.call(value);
      return Number.isNaN(millis) ? null : Date.prototype.toISOString.call(value);
    }
    if (types.isNativeError(value)) {
      return `${kindOf(value)}: ${messageOf(value)}`;
    }
    if (
      ArrayBuffer.isView(value) ||
      types.isAnyArrayBuffer(value) ||
      types.isMap(value) ||
      types.isSet(value)
    ) {
      return `[${kindOf(value)}]`;
    }
    if (this.#parents.includes(value)) {
      return '[circular]';
    }
    const isList = Array.isArray(value);
    if (this.#parents.length >= this.#depth) {
      return isList ? `<list of ${value.length}>` : `<map of ${Object.keys(value).length}>`;
    }
    return isList ? this.#items(value) : this.entries(value);
  }
}

/** How many of the items are kept: all, or one less than the bound, for the mark. */
function roomFor({ length }) {
  return length > MAX_ITEMS ? MAX_ITEMS - 1 : length;
}

function more(items) {
  return `${CUT} ${items.length - roomFor(items)} more`;
}

/**
 * What an error calls itself, or else its class. A class that sets no name inherits that of the language's error, and
 * is the better name.
 */
function kindOf(error) {
  try {
    const name = find(error, 'name');
    const maker = find(error, 'constructor');
    const isNearer = maker !== undefined && (name === undefined || maker.depth < name.depth);
    const candidates = [isNearer ? dataOf(maker.value, 'name') : undefined, name?.value];
    const kind = candidates.find((candidate) => typeof candidate === 'string' && candidate !== '');
    return kind === undefined ? typeof error : boundedText(kind);
  } catch {
    return typeof error;
  }
}

/** The text of an error. */
function messageOf(error) {
  const message = dataOf(error, 'message');
  if (message === undefined || message === null) {
    return '';
  }
  return isReadable(message) || types.isProxy(message) ? '[object]' : boundedText(message);
}

module.exports = { boundedText, dataOf, inherits, isReadable, kindOf, messageOf, propertiesOf };
