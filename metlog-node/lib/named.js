// What names in configurations stand for: `module:attribute`, seen from this package.
'use strict';

const { createRequire } = require('node:module');

const { exports: entries, name: ours } = require('../package.json');
const { metlogError } = require('./errors.js');

const requireFromRoot = createRequire(require.resolve('../package.json'));

/** What a name stands for; `./senders` is `metlog/senders`, as where its file lay in the original. */
function resolveName(name) {
  const [, path, attribute] = /^(.*):(.*)$/s.exec(name) ?? [];
  if (path === undefined) {
    throw metlogError('config', 'expected "module:attribute"');
  }
  return requireFromRoot(Object.hasOwn(entries, path) ? path.replace('.', ours) : path)[attribute];
}

/** The function that `name` stands for; `setting` is where it was named. */
function functionNamed(name, setting) {
  const problem = (what, cause) =>
    metlogError('config', `${setting} "${name}" does not resolve: ${what}`, cause);
  let found;
  try {
    found = resolveName(name);
  } catch (error) {
    throw problem(error.message.split('\n')[0], error);
  }
  if (typeof found !== 'function') {
    throw problem('the module exports no function of that name');
  }
  return found;
}

module.exports = { functionNamed, resolveName };
