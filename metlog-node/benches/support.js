// What the benchmarks share: interleaved rounds, medians, and ratios against the floors and peers of the same run.
'use strict';

const { threadNanos } = require('floor.node');

/** How often everything is measured; the median counts. */
const ROUNDS = 9;

/** Nanoseconds of this thread's processor time for each of `count` calls of `work`. */
function perCall(count, work) {
  const start = threadNanos();
  for (let index = 0; index < count; index += 1) {
    work(index);
  }
  return (threadNanos() - start) / count;
}

/** The figure in the middle. */
function median(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/**
 * Medians by name of `measures`, `{name: () => nanoseconds}`. The rounds are interleaved, so that a slow moment of the
 * machine meets all alike; each measure begins with its garbage collected and its peers' threads at rest.
 */
async function run(measures, { rounds = ROUNDS, settleMs = 30 } = {}) {
  const figures = new Map(Object.keys(measures).map((name) => [name, []]));
  // Two rounds that do not count: the first compiles.
  for (let round = -2; round < rounds; round += 1) {
    for (const [name, measure] of Object.entries(measures)) {
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      const nanos = await measure();
      if (round >= 0) {
        figures.get(name).push(nanos);
      }
    }
  }
  const medians = new Medians([...figures].map(([name, own]) => [name, median(own)]));
  medians.print();
  return medians;
}

class Medians {
  #nanos;

  constructor(entries) {
    this.#nanos = new Map(entries);
  }

  get(name) {
    if (!this.#nanos.has(name)) {
      throw new Error(`no measure is named "${name}"`);
    }
    return this.#nanos.get(name);
  }

  print() {
    for (const [name, nanos] of this.#nanos) {
      console.log(`${name.padEnd(58)} ${nanos.toFixed(1).padStart(9)} ns`);
    }
  }

  /** `of` is at most `bar` times the sum of `floors`. */
  atMost(of, bar, floors) {
    const ratio = this.get(of) / floors.reduce((sum, name) => sum + this.get(name), 0);
    verdict(ratio <= bar, `${of}: ${ratio.toFixed(2)} x of (${floors.join(' + ')}), bar at most ${bar}`);
  }

  /** `of` is at least `bar` times cheaper than `than`. */
  cheaper(of, bar, than) {
    const ratio = this.get(than) / this.get(of);
    verdict(ratio >= bar, `${of}: ${ratio.toFixed(2)} x cheaper than ${than}, bar at least ${bar}`);
  }
}

/** One line of the table of bars; a miss makes the process end with 1. */
function verdict(kept, line) {
  console.log(`${(kept ? 'ok' : 'MISSED').padEnd(7)} ${line}`);
  if (!kept) {
    process.exitCode = 1;
  }
}

module.exports = { Medians, median, perCall, run, verdict };
