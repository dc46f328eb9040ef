import type { Writable } from 'node:stream';
import type { MetlogClient, Settings } from '../../index.js';

/**
 * A stream of pino's lines: in a thread of pino's as `transport: { target: 'metlog/pino', options }`, or as its destination.
 * Settings are those of `configure` for the default client of the thread it runs in.
 */
declare function transport(options?: transport.Options): Writable;

declare namespace transport {
  export { transport };

  export type Options = ({ client: MetlogClient } | Settings) & {
    /** Where pino was told to put the text of a line; `msg` unless given. */
    messageKey?: string | undefined;
  };
}

export = transport;
