import type { Message, Sender } from '../index.js';

/**
 * Batches to the sidecar, the usual sender; without `endpoints` to the sidecar of this host. With `delivery` 'acked' they
 * go over its link, whose endpoint has to be given, and each is kept until the sidecar has it on disk.
 */
export declare function zmqPushSenderFactory(
  settings?:
    | { endpoints?: string | readonly string[]; delivery?: 'push' }
    | { endpoints: string | readonly string[]; delivery: 'acked' },
): Sender;

/**
 * Single messages to receivers that subscribe at the addresses `bindstrs`. What waits is bounded in bytes, and not by
 * `queueLength`.
 */
export declare function zmqPubSenderFactory(settings: {
  bindstrs: string | readonly string[];
  queueLength?: number | undefined;
}): Sender;

/** One datagram a message to each of `hosts`; missing `ports` repeat the last, extra ones are ignored. */
export declare function udpSenderFactory(settings: {
  hosts: string | readonly string[];
  ports: number | string | readonly (number | string)[];
}): Sender;

/**
 * Lines on standard output; with an `encoder`, a function or the name of one as `module:attribute`, what that makes of
 * each message: a text, which becomes a line, or bytes.
 */
export declare function stdoutSenderFactory(settings?: {
  encoder?: string | ((message: Message) => string | Uint8Array) | undefined;
}): Sender;

/** Lines at the end of the file `filePath`. */
export declare function fileSenderFactory(settings: { filePath: string }): Sender;

export interface MemorySender extends Sender {
  /** The messages sent so far, in order. */
  readonly messages: Message[];
}

/** Keeps messages in memory, for tests of applications. */
export declare function memorySenderFactory(settings?: object): MemorySender;
