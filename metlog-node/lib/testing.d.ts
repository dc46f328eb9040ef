import type { Message } from '../index.js';

/** What is sent while it is captured. */
export interface Capture {
  /** What was sent so far. */
  readonly messages: Message[];
  /** From now on messages are sent as before. */
  stop(): Message[];
  /** For `using`, where Node has it. */
  [Symbol.dispose](): void;
}

/**
 * Keeps what every client of this thread sends from now on instead of sending it. Filters decide as ever; counts and
 * gauges that are summed come as one message for each look at the list, their times as one each.
 */
export declare function captureLogs(): Capture;
/** The messages sent while `fn` runs, until the promise it gives back is settled. */
export declare function captureLogs(fn: () => Promise<unknown>): Promise<Message[]>;
export declare function captureLogs(fn: () => unknown): Message[];
