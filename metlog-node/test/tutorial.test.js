// Runs docs/node/tutorial.md: its files are written, its commands run in order, against real daemons.
//
// A block's first line names its language, and a file if it is one. In a `console` block a line that begins with `$` is a
// command, those below are what it says, with `...` for anything.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { ROOT } = require('./support.js');

const TUTORIAL = path.join(ROOT, '..', 'docs', 'node', 'tutorial.md');
const PROGRAMS = path.join(ROOT, '..', 'target', 'debug');

const BLOCK = /^```(\w+) ?(\S*)\n(.*?)^```$/gms;

/** Commands that only ask: what is not yet so is asked again. */
const ASKING = /^(grep |metlog-grater audit )/;
const PATIENCE_MS = 20_000;

/** What a command says comes after it in one piece, ended by this line. */
const END = 'end of the command, code ';

/** One shell for all commands, as a reader has. */
class Shell {
  #process;
  #said = '';
  #wake = () => {};

  constructor(folder) {
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('METLOG_'));
    const env = { ...Object.fromEntries(kept), PATH: `${PROGRAMS}:${process.env.PATH}` };
    this.#process = spawn('bash', ['-c', 'exec bash 2>&1'], { cwd: folder, env });
    this.#process.stdout.setEncoding('utf8').on('data', (piece) => {
      this.#said += piece;
      this.#wake();
    });
  }

  async says(command) {
    this.#said = '';
    // In a line of its own, so that a command in the background may end in an ampersand.
    this.#process.stdin.write(`${command}\necho "${END}$?"\n`);
    while (!this.#said.includes(END)) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#said.slice(0, this.#said.indexOf(END)).trimEnd();
  }

  close() {
    const ended = new Promise((resolve) => this.#process.on('close', resolve));
    this.#process.stdin.end('kill $(jobs -p)\nwait\n');
    return ended;
  }
}

test('the tutorial does what it says', { timeout: 120_000 }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'metlog-tutorial-'));
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(folder, 'node_modules', 'metlog'));
  const shell = new Shell(folder);
  t.after(async () => {
    await shell.close();
    fs.rmSync(folder, { recursive: true });
  });
  const blocks = [...fs.readFileSync(TUTORIAL, 'utf8').matchAll(BLOCK)];
  assert.ok(blocks.length > 9);
  for (const [, language, file, content] of blocks) {
    if (file !== '') {
      fs.writeFileSync(path.join(folder, file), content);
    } else if (language === 'console') {
      for (const { command, expected } of commandsOf(content)) {
        await check(shell, command, expected);
      }
    }
  }
});

/** Each command of a block, and what it is to say. */
function commandsOf(content) {
  const parts = content.split(/^\$ /m).slice(1);
  return parts.map((part) => {
    const end = part.indexOf('\n');
    return { command: part.slice(0, end), expected: part.slice(end + 1).trimEnd() };
  });
}

async function check(shell, command, expected) {
  const words = expected.split('...').map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`^${words.join('.*')}$`, 's');
  const deadline = Date.now() + (ASKING.test(command) ? PATIENCE_MS : 0);
  for (;;) {
    const said = await shell.says(command);
    if (expected === '' || pattern.test(said)) {
      return;
    }
    assert.ok(Date.now() < deadline, `$ ${command}\nexpected:\n${expected}\nsaid:\n${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
