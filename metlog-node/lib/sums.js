// Slots in which JavaScript sums, and their way into the core.
//
// A call into the addon costs twenty times what adding to an array does. So a client adds to arrays of doubles, which
// the addon takes over once a second, before each flush and close, and at the end of the process or thread
// (`src/aggregates.rs` has their layout). From there sums leave as those of any client do: once per interval.
'use strict';

const { clearInterval, setInterval } = require('node:timers');

const native = require('./native.js');
const { callOf, messageOf } = require('./call.js');
const { capture, isCapturing } = require('./captured.js');
const { atExit } = require('./life.js');
const { NativeSender } = require('./native_sender.js');
const { text } = require('./plain.js');
const { sendSum } = require('./sending.js');

/** How often sums go into the core at most; it sends them in its own time. */
const HAND_OVER_MS = 1000;

/** More than V8 keeps within its heap, where arrays move. */
const FIRST_SLOTS = 64;

/** Measurements are handed over when there are so many. */
const SAMPLES = 512;

/** Where the core puts names that it has no room for, and where it counts their calls. */
const OVERFLOW_NAME = 'metlog.overflow';
const OVERFLOW_CALLS = 'metlog.overflow.calls';

/** For a handle whose calls are its own. */
const NO_SLOT = -1;

/** What the last hand-over of a thread has to ask. One that nobody holds leaves its arrays to the addon. */
const all = new Set();

/** Gives the core what all clients of this thread have summed. */
function handOverAll() {
  for (const reference of all) {
    reference.deref()?.handOver();
  }
}

/** Gives the core what this client has summed, and all others with the same sender: they flush and close with it. */
function handOverOf(client, own) {
  for (const reference of all) {
    const sums = reference.deref();
    if (sums !== undefined && (sums === own || sums.sender === client.sender)) {
      sums.handOver();
    }
  }
}

atExit(handOverAll);

class Sums {
  /** One slot for each name. */
  values = new Float64Array(FIRST_SLOTS);
  #samples = new Float64Array(1 + 2 * SAMPLES);
  /** What `#samples[0]` says: a whole number is faster as a place than a double. */
  #used = 0;
  #kinds = [];
  #names = [];
  #slots = { counter: new Map(), gauge: new Map(), timer: new Map() };
  #handle;
  /** True where the sender is none of the core's. */
  #isOwn = true;
  /** Where sums go. */
  sender;
  #client;
  /** What is said of the client when it is there no more. */
  #last;
  /** Goes when nothing can be added any more. */
  #owner;
  /** What gauges were set to before the last move, by slot. */
  #carried = new Map();
  #timer;
  #intervalMs;
  #reference = new WeakRef(this);

  /** For as long as there is `owner`, something may be added. */
  ownedBy(owner) {
    this.#owner = new WeakRef(owner);
  }

  /** From now on sums go to the client's sender. What there is was handed over. */
  moveTo(client, { aggregateIntervalMs, maxNames }) {
    const { sender, logger, severity } = client;
    this.#carry();
    this.sender = sender;
    this.#client = new WeakRef(client);
    this.#last = { sender, logger, severity };
    this.#isOwn = !(sender instanceof NativeSender);
    this.#handle = this.#isOwn ? native.ownSums(maxNames) : sender.sums();
    for (const [slot, name] of this.#names.entries()) {
      native.keepSeries(this.#handle, this.#kinds[slot], name);
    }
    native.shareSums(this.#handle, this.values, this.#samples);
    this.#intervalMs = this.#isOwn ? aggregateIntervalMs : Math.min(aggregateIntervalMs, HAND_OVER_MS);
    this.#tick(this.#isOwn ? this : undefined);
  }

  /** Keeps what gauges are at: the next sender knows none of it. */
  #carry() {
    for (const slot of this.#slots.gauge.values()) {
      const value = this.#carried.get(slot) ?? native.gaugeValue(this.#handle, slot);
      if (value !== 0) {
        this.#carried.set(slot, value);
      }
    }
  }

  /** The slot of a name, and that in which its calls are counted beside when it shares the overflow's. */
  place(kind, given) {
    const name = text(given);
    const known = this.#slots[kind].get(name);
    if (known !== undefined) {
      return { slot: known, calls: NO_SLOT };
    }
    if (native.addSeries(this.#handle, kind, name)) {
      return { slot: this.#keep(kind, name), calls: NO_SLOT };
    }
    return { slot: this.#overflow(kind, OVERFLOW_NAME), calls: this.#overflow('counter', OVERFLOW_CALLS) };
  }

  /** The slot for one call that names what it is about. */
  slotOf(kind, name) {
    return this.#slots[kind].get(name) ?? this.#enter(kind, name);
  }

  /** Keeps a measurement. */
  sample(slot, millis) {
    const samples = this.#samples;
    const used = this.#used;
    samples[used + 1] = slot;
    samples[used + 2] = millis;
    this.#used = used + 2;
    samples[0] = used + 2;
    if (used + 2 === 2 * SAMPLES) {
      this.#takeOver();
    }
  }

  /** Adds to a gauge, which another thread may have set. */
  adjust(slot, change) {
    const carried = this.#carried.get(slot);
    if (!Number.isNaN(this.values[slot])) {
      this.values[slot] += change;
    } else if (carried !== undefined || isCapturing()) {
      this.values[slot] = (carried ?? 0) + change;
    } else {
      native.adjustGauge(this.#handle, slot, change);
    }
  }

  /** Gives the core what there is; where there is none, sends it. */
  handOver() {
    if (this.#handle === undefined || this.#names.length === 0) {
      return;
    }
    this.#takeOver();
    if (this.#isOwn && !isCapturing()) {
      for (const { kind, payload, fields } of native.summed(this.#handle)) {
        sendSum(this.#client.deref() ?? this.#last, kind, payload, JSON.parse(fields));
      }
    }
  }

  /** Hands over what there is; what comes later is handed over for as long as somebody holds it. */
  close() {
    this.handOver();
    this.#tick(undefined);
  }

  #takeOver() {
    const isCaptured = isCapturing();
    if (isCaptured) {
      this.#capture();
    } else {
      native.takeOverSums(this.#handle);
    }
    for (const slot of this.#slots.gauge.values()) {
      if (!isCaptured && !Number.isNaN(this.values[slot])) {
        this.#carried.delete(slot);
      }
    }
    this.values.fill(0, 0, this.#names.length);
    for (const slot of this.#slots.gauge.values()) {
      this.values[slot] = Number.NaN;
    }
    this.#samples[0] = 0;
    this.#used = 0;
  }

  /** Gives a capture what the arrays hold. */
  #capture() {
    const client = this.#client.deref() ?? this.#last;
    const give = (type, value, slot) =>
      capture(
        messageOf(
          callOf(client, type, undefined, { payload: text(value), name: this.#names[slot], rate: 1 }),
        ),
      );
    for (const [slot, kind] of this.#kinds.entries()) {
      const value = this.values[slot];
      if (!Number.isNaN(value) && (kind === 'gauge' || value !== 0)) {
        give(kind, value, slot);
      }
    }
    for (let at = 1; at <= this.#samples[0]; at += 2) {
      if (this.#samples[at + 1] >= 0) {
        give('timer', Math.round(this.#samples[at + 1]), this.#samples[at]);
      }
    }
  }

  #enter(kind, name) {
    const { slot, calls } = this.place(kind, name);
    if (calls !== NO_SLOT) {
      this.values[calls] += 1;
    }
    return slot;
  }

  #overflow(kind, name) {
    const known = this.#slots[kind].get(name);
    if (known !== undefined) {
      return known;
    }
    native.keepSeries(this.#handle, kind, name);
    return this.#keep(kind, name);
  }

  #keep(kind, name) {
    const slot = this.#names.length;
    if (slot === this.values.length) {
      const grown = new Float64Array(2 * slot);
      grown.set(this.values);
      this.values = grown;
      native.shareSums(this.#handle, grown, this.#samples);
    }
    this.values[slot] = kind === 'gauge' ? Number.NaN : 0;
    this.#kinds.push(kind);
    this.#names.push(name);
    this.#slots[kind].set(name, slot);
    return slot;
  }

  /**
   * Hands over in intervals. A sender written in JavaScript has nobody else who would send: its sums are `held` until
   * they are closed, or nothing can be added to them any more.
   */
  #tick(held) {
    clearInterval(this.#timer);
    const reference = this.#reference;
    all.add(reference);
    const timer = setInterval(() => {
      const sums = held ?? reference.deref();
      // Before the hand-over: what goes in between has added nothing since.
      const isOver = sums === undefined || (held !== undefined && held.#owner?.deref() === undefined);
      sums?.handOver();
      if (isOver) {
        clearInterval(timer);
        all.delete(reference);
      }
    }, this.#intervalMs);
    this.#timer = timer.unref();
  }
}

module.exports = { NO_SLOT, Sums, handOverAll, handOverOf };
