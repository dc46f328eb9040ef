import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestOptions } from './options.js';

export type { RequestOptions } from './options.js';

/** `listener` with each of its requests timed, counted and bound; what it throws is sent and passed on. */
export declare function wrap<This, Request extends IncomingMessage, Response extends ServerResponse, Result>(
  listener: (this: This, request: Request, response: Response) => Result,
  options?: RequestOptions,
): (this: This, request: Request, response: Response) => Result;

/** How often an integration, of whatever framework, has failed in this thread; the application goes on. */
export declare function errors(): number;
