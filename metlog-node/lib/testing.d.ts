import type { Message, MetlogClient } from '../index.js';

/** What a client sends while it is captured. */
export interface Capture {
  /** What was sent so far, in order, sums included. */
  readonly messages: Message[];
  /** From now on the client sends as before. */
  stop(): Message[];
  [Symbol.dispose](): Message[];
}

/** Keeps what the default client, or `client`, sends from now on instead of sending it. */
export declare function captureLogs(client?: MetlogClient): Capture;
/** The messages that the default client sends while `fn` runs, until the promise it gives back is settled. */
export declare function captureLogs(fn: () => Promise<unknown>): Promise<Message[]>;
export declare function captureLogs(fn: () => unknown): Message[];
/** The messages that `client` sends while `fn` runs. */
export declare function captureLogs(client: MetlogClient, fn: () => Promise<unknown>): Promise<Message[]>;
export declare function captureLogs(client: MetlogClient, fn: () => unknown): Message[];
