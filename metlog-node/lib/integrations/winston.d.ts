import { Writable } from 'node:stream';
import type { MetlogClient } from '../../index.js';

export interface TransportOptions {
  /** The process's default client unless given. */
  client?: MetlogClient | undefined;
  /** The least severe level that is sent: the logger's unless given. */
  level?: string | undefined;
  silent?: boolean | undefined;
  handleExceptions?: boolean | undefined;
  handleRejections?: boolean | undefined;
}

/** What a logger of winston takes as one of its `transports`. */
export declare class MetlogTransport extends Writable {
  constructor(options?: TransportOptions);
  level?: string;
  silent: boolean;
  handleExceptions: boolean;
  handleRejections: boolean;
  log(info: unknown, next: () => void): void;
}
