import type { CefConfig, CefEnviron, CefMeta, CefOptions, CefRequest, MetlogClient } from '../index.js';

export interface CefSettings {
  /** A list with commas of PID, CONS, NDELAY, NOWAIT and LOG_PERROR. */
  syslog_options?: string | null;
  /** KERN to LOCAL7. */
  syslog_facility?: string | null;
  syslog_ident?: string | null;
  /** EMERG to DEBUG. */
  syslog_priority?: string | null;
}

/** `client.cef` with settings for the syslog. */
export interface CefMethod {
  (
    this: MetlogClient,
    name: string,
    severity: number | string,
    request: CefRequest | CefEnviron | null | undefined,
    config: CefConfig,
    options?: Omit<CefOptions, 'meta'> | null,
  ): string;
  readonly cef_meta: CefMeta;
}

/**
 * Makes the method of the plugin, `client.addMethod('cef', configPlugin({ syslog_facility: 'LOCAL4' }))`.
 * @throws {MetlogError} that names the setting.
 */
export declare function configPlugin(settings?: CefSettings | null): CefMethod;

export declare const AUTH_FAILURE: 'AuthFail';
export declare const CAPTCHA_FAILURE: 'CaptchaFail';
export declare const OVERRIDE_FAILURE: 'InvalidAdmin';
export declare const ACCOUNT_LOCKED: 'AccountLockout';
export declare const PASSWD_RESET_CLR: 'PasswordResetCleared';
