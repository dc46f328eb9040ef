import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestOptions } from './options.js';

export type { RequestOptions } from './options.js';

/** Times, counts and binds each request: the first of all middleware. */
export declare function middleware(
  options?: RequestOptions,
): (context: { req: IncomingMessage; res: ServerResponse }, next: () => Promise<unknown>) => Promise<unknown>;
