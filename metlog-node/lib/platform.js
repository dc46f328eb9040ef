// Which package holds the addon for this platform.
'use strict';

const SCOPE = '@metlog';

/** The packages that may hold it. On Linux there is one for each C library, and only one of them loads. */
function candidates() {
  const name = `${SCOPE}/${process.platform}-${process.arch}`;
  return process.platform === 'linux' ? [`${name}-gnu`, `${name}-musl`] : [name];
}

/** The one that does, and how people call the platform. Asking for the C library takes milliseconds. */
function described() {
  const [first, second] = candidates();
  const system = `${process.platform}-${process.arch}`;
  if (second === undefined) {
    return { name: first, system };
  }
  const { glibcVersionRuntime: glibc } = process.report.getReport().header;
  return glibc === undefined
    ? { name: second, system: `${system} (musl)` }
    : { name: first, system: `${system} (glibc ${glibc})` };
}

module.exports = { candidates, described };
