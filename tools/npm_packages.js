// Makes the npm packages: the root package, and one with the addon for each platform that has one.
//
// Usage: node tools/npm_packages.js FOLDER PLATFORM=ADDON...
// PLATFORM is `linux-x64-gnu`, `darwin-arm64` and the like; ADDON is the library that cargo has built for it. The root
// package names the others as optional, in its own version: npm installs the one that fits, runs no script and
// downloads nothing else.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..');
const SOURCE = path.join(ROOT, 'metlog-node');

/** What only a clone of the repository needs. */
const OF_DEVELOPMENT = ['private', 'scripts', 'devDependencies'];

const manifest = JSON.parse(fs.readFileSync(path.join(SOURCE, 'package.json'), 'utf8'));

/** Packs what `fill` puts into an empty folder. */
function pack(into, fill) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'metlog-npm-'));
  try {
    fs.copyFileSync(path.join(ROOT, 'LICENSE'), path.join(folder, 'LICENSE'));
    const contents = fill(folder);
    fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(contents, null, 2)}\n`);
    const options = ['--silent', '--ignore-scripts', '--pack-destination', into];
    const name = execFileSync('npm', ['pack', ...options], { cwd: folder, encoding: 'utf8' }).trim();
    console.log(path.join(into, name));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function packRoot(into, platforms) {
  pack(into, (folder) => {
    for (const file of manifest.files) {
      fs.cpSync(path.join(SOURCE, file), path.join(folder, file), { recursive: true });
    }
    fs.copyFileSync(path.join(ROOT, 'README.md'), path.join(folder, 'README.md'));
    const kept = Object.entries(manifest).filter(([key]) => !OF_DEVELOPMENT.includes(key));
    const others = platforms.map((platform) => [`@metlog/${platform}`, manifest.version]);
    return { ...Object.fromEntries(kept), optionalDependencies: Object.fromEntries(others) };
  });
}

function packPlatform(into, platform, addon) {
  const [system, cpu, libc] = platform.split('-');
  pack(into, (folder) => {
    fs.copyFileSync(addon, path.join(folder, 'metlog.node'));
    return {
      name: `@metlog/${platform}`,
      version: manifest.version,
      description: `The native addon of metlog for ${platform}`,
      license: manifest.license,
      engines: manifest.engines,
      os: [system],
      cpu: [cpu],
      ...(libc === undefined ? {} : { libc: [libc === 'gnu' ? 'glibc' : libc] }),
      main: 'metlog.node',
      files: ['metlog.node'],
    };
  });
}

const [folder, ...given] = process.argv.slice(2);
const addons = given.map((pair) => pair.split('='));
if (folder === undefined || addons.length === 0 || addons.some((pair) => pair.length !== 2)) {
  console.error('usage: node tools/npm_packages.js FOLDER PLATFORM=ADDON...');
  process.exit(2);
}
const into = path.resolve(folder);
fs.mkdirSync(into, { recursive: true });
packRoot(
  into,
  addons.map(([platform]) => platform),
);
for (const [platform, addon] of addons) {
  packPlatform(into, platform, addon);
}
