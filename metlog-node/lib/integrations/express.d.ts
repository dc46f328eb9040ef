import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestOptions } from './options.js';

export type { RequestOptions } from './options.js';

/** Times, counts and binds each request: the first of all middleware. */
export declare function middleware(
  options?: RequestOptions,
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** Sends what a route or a middleware has thrown, and passes it on: the first of the handlers of errors. */
export declare function errorHandler(): (
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;
