import type { Message } from '../index.js';

/** The message as JSON: one line, with its end. */
export declare function jsonEncoder(message: Message): string;

/** The message as MessagePack. */
export declare function msgpackEncoder(message: Message): Uint8Array;
