// What became of messages that never reached a sender of the core.
'use strict';

class Books {
  #sent = 0;
  #refused = {};

  send() {
    this.#sent += 1;
  }

  refuse(reason) {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
  }

  /** A message that was counted as sent and then given up. */
  unsend(reason) {
    this.#sent -= 1;
    this.refuse(reason);
  }

  stats() {
    const refused = Object.values(this.#refused).reduce((sum, count) => sum + count, 0);
    return {
      attempted: this.#sent + refused,
      accepted: this.#sent,
      refused: { ...this.#refused },
      sent: this.#sent,
      dropped: {},
      waiting: 0,
    };
  }
}

/** Two books as one. */
function sum(one, other) {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  const add = (a, b) => (typeof (a ?? b) === 'object' ? sum(a ?? {}, b ?? {}) : (a ?? 0) + (b ?? 0));
  return Object.fromEntries([...names].map((name) => [name, add(one[name], other[name])]));
}

module.exports = { Books, sum };
