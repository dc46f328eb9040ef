import type { RequestOptions } from './options.js';

export type { RequestOptions } from './options.js';

/**
 * Times, counts and binds each request of each `http` server of the process from now on.
 * @returns a function that ends this.
 */
export declare function subscribe(options?: RequestOptions): () => void;
