import type { Filter, Names } from '../index.js';

/** Drops what is less severe than `severity`. */
export declare function severityMaxProvider(settings: { severity: number }): Filter;

/** Drops the types named. */
export declare function typeBlacklistProvider(settings: { types: Names }): Filter;

/** Drops every type but those named. */
export declare function typeWhitelistProvider(settings: { types: Names }): Filter;

/** Drops what is less severe than its type's own bound; other types pass. */
export declare function typeSeverityMaxProvider(settings: {
  types: Readonly<Record<string, { severity: number }>> | ReadonlyMap<string, { severity: number }>;
}): Filter;

/** Lets a share of 0 to 1 of each type named pass; other types pass. */
export declare function typeRateProvider(settings: {
  types: Readonly<Record<string, number>> | ReadonlyMap<string, number>;
}): Filter;
