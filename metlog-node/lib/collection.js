// Names given as an array, a set, an object's own keys or one text; and settings by name.
'use strict';

const { metlogError } = require('./errors.js');

/** True when `names` holds `name`; what an object inherits never counts. */
function hasName(names, name) {
  if (typeof names === 'string') {
    return names === name;
  }
  if (Array.isArray(names)) {
    return names.includes(name);
  }
  if (names instanceof Set || names instanceof Map) {
    return names.has(name);
  }
  return typeof names === 'object' && names !== null && Object.hasOwn(names, name);
}

/** The values of a plugin's settings in the order of `names`; null is none, and any other name a mistake. */
function settingsOf(settings, names) {
  const given = settings ?? {};
  const unknown = Object.keys(given).filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw metlogError('config', `unexpected settings [${unknown}], expected some of ${names.join(', ')}`);
  }
  return names.map((name) => given[name] ?? undefined);
}

module.exports = { hasName, settingsOf };
