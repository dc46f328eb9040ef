// The native addon, built from `src/`: that of the package for this platform, or the one built here.
'use strict';

const { version } = require('../package.json');
const { metlogError } = require('./errors.js');
const { candidates, described } = require('./platform.js');

function load() {
  const problems = [];
  for (const attempt of [...candidates().map((name) => () => packaged(name)), built]) {
    try {
      return attempt();
    } catch (error) {
      problems.push(error);
    }
  }
  throw metlogError('io', missing(problems), new AggregateError(problems, 'no addon could be loaded'));
}

/** The addon of another version may lack what this one needs. */
function packaged(name) {
  const found = require(`${name}/package.json`).version;
  if (found !== version) {
    throw metlogError('config', `${name} is of version ${found}, expected ${version}`);
  }
  return require(name);
}

function built() {
  return require('../metlog.node');
}

function missing(problems) {
  const { name, system } = described();
  const broken = problems.filter(({ code }) => code !== 'MODULE_NOT_FOUND').map(({ message }) => message);
  return [
    `metlog ${version} has no native addon for ${system}, Node ${process.version}: install ${name}@${version}, as npm ` +
      'does unless it is told to omit optional packages; where there is no such package, build it in a clone of the ' +
      'repository with "npm run build", which needs Rust and a C++ compiler',
    ...broken,
  ].join('; ');
}

module.exports = load();
