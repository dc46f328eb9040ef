// Names given as an array, a set, an object's own keys or one text.
'use strict';

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

module.exports = { hasName };
