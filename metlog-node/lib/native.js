// The native addon, built from `src/`.
'use strict';

const { metlogError } = require('./errors.js');

function load() {
  try {
    return require('../metlog.node');
  } catch (error) {
    const { glibcVersionRuntime: glibc } = process.report.getReport().header;
    const libc = process.platform !== 'linux' ? '' : glibc ? ` (glibc ${glibc})` : ' (musl)';
    throw metlogError(
      'io',
      `metlog has no native addon for ${process.platform}-${process.arch}${libc}, Node ${process.version}: ` +
        'build it with "npm run build", which needs Rust and a C++ compiler',
      error,
    );
  }
}

module.exports = load();
