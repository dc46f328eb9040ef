import type { MetlogClient } from '../../index.js';

/** What may be said about what is sent of requests. */
export interface RequestOptions {
  /** The process's default client unless given. */
  client?: MetlogClient | undefined;
  /** What the names of metrics begin with: `http.server` unless given. */
  prefix?: string | undefined;
  /** False leaves out the timer of each route. */
  routeTimers?: boolean | undefined;
  /** False leaves out the `sentry` messages; exceptions are counted all the same. */
  exceptions?: boolean | undefined;
  /** False binds nothing; else every message sent while the request runs has `request_id`, `method` and `path`. */
  bind?: boolean | undefined;
  /** The type of a message with headers, path and time of each request; none unless given. */
  requestMessage?: string | undefined;
  /** Paths of which nothing is sent, such as those of health checks. */
  ignoredPaths?: Iterable<string> | undefined;
}
