export { clientFromJsonConfig } from '../index.js';

/** What `module:attribute` stands for, seen from this package. */
export declare function resolveName(name: string): unknown;

/** What configurations said under `global`. */
export declare function getGlobalConfig(): Record<string, unknown>;
