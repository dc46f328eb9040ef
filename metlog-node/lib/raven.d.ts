import type { ExceptionOptions, MetlogClient } from '../index.js';

export interface RavenSettings {
  /** `scheme://user:password@host[:port]/project`: where the output is to deliver. It travels with each message. */
  dsn?: string | null;
  logger?: string | null;
  severity?: number | null;
  /** Not used: the DSN names the project. */
  sentry_project_id?: unknown;
}

/**
 * Makes the method of the plugin, `client.addMethod('raven', configPlugin({ dsn }))`. It is `sendException` with these
 * settings; without an error it sends nothing.
 * @throws {MetlogError} that names the setting.
 */
export declare function configPlugin(
  settings?: RavenSettings | null,
): (this: MetlogClient, msg: string, error?: unknown, options?: Omit<ExceptionOptions, 'msg'> | null) => void;
