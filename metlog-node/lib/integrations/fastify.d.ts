import type { MetlogClient } from '../../index.js';
import type { RequestOptions } from './options.js';

/** Times, counts and binds each request; exceptions are sent. */
declare function plugin(app: plugin.App, options: RequestOptions): Promise<void>;

declare namespace plugin {
  export { plugin, RequestOptions };

  /** What the plugin needs of an application. */
  export interface App {
    // biome-ignore lint/suspicious/noExplicitAny: Fastify's own type has an overload for each hook
    addHook(name: any, hook: any): unknown;
  }

  export interface LoggerOptions {
    /** The process's default client unless given. */
    client?: MetlogClient | undefined;
    /** `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`; `info` unless given. */
    level?: string | undefined;
  }

  export type Log = (first: unknown, ...more: unknown[]) => void;

  /** What Fastify takes as `loggerInstance`. */
  export interface Logger {
    level: string;
    trace: Log;
    debug: Log;
    info: Log;
    warn: Log;
    error: Log;
    fatal: Log;
    silent: Log;
    isLevelEnabled(level: string): boolean;
    child(bindings: object, options?: object): Logger;
  }

  export function logger(options?: LoggerOptions): Logger;
}

export = plugin;
