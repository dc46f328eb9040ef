// Errors of Metlog: a message for people, a `code` for programs.
'use strict';

/** An error whose `code` is one of the core's kinds: 'config' or 'io'. */
function metlogError(code, message, cause) {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  error.code = code;
  return error;
}

module.exports = { metlogError };
