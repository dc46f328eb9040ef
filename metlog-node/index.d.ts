/** The client of Metlog for Node: messages, counters and timers that cost the application almost nothing. */
/// <reference lib="esnext.disposable" />

/** The names of RFC 5424. */
export declare const SEVERITY: {
  readonly EMERGENCY: 0;
  readonly ALERT: 1;
  readonly CRITICAL: 2;
  readonly ERROR: 3;
  readonly WARNING: 4;
  readonly NOTICE: 5;
  readonly INFORMATIONAL: 6;
  readonly DEBUG: 7;
};

/** `YYYY-MM-DDTHH:MM:SSZ`: whole seconds, UTC. */
export declare function IsoDateString(date: Date): string;

/** The nine keys of a message, as filters and senders written in JavaScript get them. */
export interface Message {
  type: string;
  /** RFC 3339 in UTC with six digits, or the text that the caller gave. */
  timestamp: string;
  logger: string;
  severity: number;
  payload: unknown;
  fields: Record<string, unknown>;
  env_version: string;
  metlog_pid: number;
  metlog_hostname: string;
}

/** Where messages go: one of `metlog/senders`, or an object of the application. */
export interface Sender {
  /** One that throws, or whose promise is rejected, loses the message; it is counted. */
  sendMessage(message: Message): unknown;
}

/** True lets the message pass. A filter may change the message. */
export type Filter = (message: Message) => boolean;

/** Names: a list, a set, the keys of an object, or one alone. */
export type Names = readonly string[] | ReadonlySet<string> | Readonly<Record<string, unknown>> | string;

/** What a call may say beyond its name; the rest comes from the client. Never written to. */
export interface Options {
  /** Instead of now: a date, milliseconds since the epoch, or RFC 3339. */
  timestamp?: Date | number | string | undefined;
  logger?: string | undefined;
  /** 0 to 7; anything else is kept under `fields.original`. */
  severity?: number | undefined;
  /** Text or any other value; only `metlog` looks at it. */
  payload?: unknown;
  fields?: object | null | undefined;
  pid?: number | undefined;
  hostname?: string | undefined;
}

export interface MetricOptions extends Options {
  /** The share of the calls that are sent, 0 to 1; 1 unless given. */
  rate?: number | undefined;
}

export interface CounterOptions extends MetricOptions {
  /** 1 unless given. */
  count?: number | bigint | undefined;
}

/** What is said about an exception beside itself. */
export interface ExceptionOptions extends Options {
  /** What the application says about it. */
  msg?: string | undefined;
  /** Further values for the event, bounded and without secrets. */
  extra?: object | undefined;
  /** `scheme://user:password@host[:port]/project`: where the output is to deliver. It travels with the message. */
  dsn?: string | undefined;
}

/** A request of Node's `http`, or of a framework upon it: an `IncomingMessage` is one. */
export interface CefRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>> | undefined;
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined;
}

/** The same as a WSGI environment names it. */
export interface CefEnviron {
  readonly REQUEST_METHOD: string;
  readonly PATH_INFO?: string | undefined;
  readonly HTTP_USER_AGENT?: string | undefined;
  readonly HTTP_HOST?: string | undefined;
  readonly HTTP_X_FORWARDED_FOR?: string | undefined;
  readonly REMOTE_ADDR?: string | undefined;
}

/** The product that reports. */
export interface CefConfig {
  readonly 'cef.version': string | number;
  readonly 'cef.vendor': string;
  readonly 'cef.product': string;
  readonly 'cef.device_version': string | number;
}

/** How a syslog is to take the line; null leaves it to the output. */
export interface CefMeta {
  readonly syslog_options: string | null;
  readonly syslog_facility: string | null;
  readonly syslog_ident: string | null;
  readonly syslog_priority: string | null;
}

export interface CefOptions {
  /** The user it is about, 'none' unless given. */
  username?: string | undefined;
  /** What kind of event it is, for machines; the name unless given. */
  signature?: string | undefined;
  /** More keys for the line. */
  extras?: Readonly<Record<string, unknown>> | undefined;
  /** All null unless given; `metlog/cef` makes it from settings. */
  meta?: CefMeta | undefined;
}

/** `attempted = accepted + refused`, and `accepted = sent + dropped + waiting`. */
export interface Stats {
  attempted: number;
  accepted: number;
  /** By reason: `full`, `too_big`, `encode`, `filtered`, `filter_error`, `closed`, `send`. */
  refused: Record<string, number>;
  sent: number;
  /** Given up after they were accepted, by reason. */
  dropped: Record<string, number>;
  waiting: number;
}

export interface Report {
  sent: number;
  waiting: number;
  dropped: number;
}

/** Counts under one name. Keep it where it is used often. */
export interface Counter {
  readonly name: string;
  /** 1 unless given; what is no finite number is left out. */
  incr(count?: number | bigint): void;
}

/** The present value of something. */
export interface Gauge {
  readonly name: string;
  set(value: number | bigint): void;
  /** Adds to the value, which is 0 at first. */
  add(change: number | bigint): void;
}

/** A measurement that goes on until it is stopped. */
export interface Running {
  /** Ends the measurement and gives it back, in milliseconds; 0 when it has ended already. */
  stop(): number;
  /** Forgets the measurement. */
  cancel(): void;
  /** For `using`, where Node has it. */
  [Symbol.dispose](): void;
}

/** Measures under one name. Keep it where it is used often. */
export interface Timer {
  readonly name: string;
  /** Measures until the measurement is stopped. */
  start(): Running;
  /** Runs `fn` and measures it, as `wrap` does. */
  time<Result>(fn: () => Result): Result;
  /**
   * `fn` with each of its calls measured, also when it throws. For one that gives back a promise or a generator the time
   * runs until that has come to its end.
   */
  wrap<This, Args extends unknown[], Result>(
    fn: (this: This, ...args: Args) => Result,
  ): (this: This, ...args: Args) => Result;
  /** Adds a time that was measured elsewhere, in milliseconds. */
  record(millis: number): void;
}

/**
 * What is summed in the process and leaves once per interval, one message a name. Filters see no sums, and they carry no
 * bound fields.
 */
export interface Aggregates {
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  timer(name: string): Timer;
  /** Counts under `name`. */
  incr(name: string, count?: number | bigint): void;
  /** Sets the gauge `name`. */
  set(name: string, value: number | bigint): void;
  /** Adds a time in milliseconds to the timer `name`. */
  record(name: string, millis: number): void;
}

/** Fields bound for the rest of a request. */
export interface Binding {
  /** From now on the fields are what they were before. */
  end(): void;
  /** For `using`, where Node has it. */
  [Symbol.dispose](): void;
}

/** No call throws, waits or does I/O: what cannot be sent is counted. */
export declare class MetlogClient {
  constructor(
    sender?: Sender | null,
    logger?: string,
    severity?: number,
    disabledTimers?: Names,
    filters?: readonly Filter[],
  );

  sender: Sender | null | undefined;
  logger: string;
  severity: number;
  /** `'*'` stands for all. */
  disabledTimers: Names;
  filters: Filter[];
  /** What messages say of where they come from, unless a call does. */
  pid: number;
  hostname: string;

  /** Sets all five again. */
  setup(
    sender?: Sender | null,
    logger?: string,
    severity?: number,
    disabledTimers?: Names,
    filters?: readonly Filter[],
  ): void;

  /** Sends a message of any type. */
  metlog(type: string, options?: Options | null): void;
  /** Counts `options.count`. */
  incr(name: string, options?: CounterOptions | null, sampleRate?: number): void;
  gauge(name: string, value: number | bigint, options?: MetricOptions | null): void;
  /**
   * `fn` with its time sent at each call, also when it throws. For a function that gives back a promise the time runs
   * until that is settled; it then gives back a promise of the same outcome. For a generator it runs until its end.
   */
  timer<This, Args extends unknown[], Result>(
    fn: (this: This, ...args: Args) => Result,
    name: string,
    options?: MetricOptions | null,
  ): (this: This, ...args: Args) => Result;
  /** A timer to start and stop, each measurement a message. */
  timer(name: string, options?: MetricOptions | null): Timer;
  /** Sends a time that was measured elsewhere, in milliseconds. */
  timer_send(elapsed: number, name: string, options?: MetricOptions | null): void;

  /** A counter that is summed in the process. */
  counter(name: string): Counter;
  /** What is summed in the process. */
  readonly aggregates: Aggregates;
  /**
   * Adds `fields` to every message of every client that is sent by `fn` and by what it starts; the fields of a call win.
   * @returns what `fn` gives back.
   */
  bind<Args extends unknown[], Result>(fields: object, fn: (...args: Args) => Result, ...args: Args): Result;
  /** The same for the rest of the request under way. */
  bind(fields: object): Binding;

  debug(message: unknown, options?: Options | null): void;
  info(message: unknown, options?: Options | null): void;
  notice(message: unknown, options?: Options | null): void;
  warn(message: unknown, options?: Options | null): void;
  warning(message: unknown, options?: Options | null): void;
  error(message: unknown, options?: Options | null): void;
  critical(message: unknown, options?: Options | null): void;
  alert(message: unknown, options?: Options | null): void;
  /** Severity 1, as the originals had it. */
  exception(message: unknown, options?: Options | null): void;
  emergency(message: unknown, options?: Options | null): void;

  /**
   * Sends `error` with its stack, its causes and its own properties as a `sentry` message, at severity 3 unless given. It
   * runs no code of the application: no getter, no `toString`.
   */
  sendException(error: unknown, options?: ExceptionOptions | null): void;
  /**
   * Sends a security event as a `cef` message. `severity` is 0 to 10 by convention.
   * @returns its line, or '' when that could not be made: `config` lacks a key.
   */
  cef(
    name: string,
    severity: number | string,
    request: CefRequest | CefEnviron | null | undefined,
    config: CefConfig,
    options?: CefOptions | null,
  ): string;

  /**
   * Adds a method of a plugin; it is called with the client as `this`. Tell TypeScript of it by adding it to this class in
   * a `declare module 'metlog'`.
   * @throws {MetlogError} when the name is in use, unless `override`.
   */
  addMethod(
    name: string,
    method: (this: MetlogClient, ...args: never[]) => unknown,
    override?: boolean,
  ): void;

  /** The books of this client and of its sender, which other clients may share. */
  stats(): Stats;
  /** Blocks this thread until what was sent has left, 2000 ms at most unless told; true when it has. */
  flush(timeoutMs?: number): boolean;
  flushAsync(timeoutMs?: number): Promise<boolean>;
  /** Sends what is left, blocking this thread for 2000 ms at most unless told, and ends the sender for all its clients. */
  close(timeoutMs?: number): Report;
  closeAsync(timeoutMs?: number): Promise<Report>;
  /**
   * From now on SIGTERM first sends what is left and then ends the process, as it would have without. An application that
   * listens for the signal itself decides when to end.
   */
  handleSigterm(): void;
}

/** A setting that names a function, `module:attribute`, and whatever that function takes. */
export interface SenderConfig {
  factory: string;
  [setting: string]: unknown;
}

export interface PluginConfig {
  provider: string;
  override?: boolean;
  [setting: string]: unknown;
}

export interface Config {
  sender: SenderConfig;
  logger?: string;
  severity?: number;
  disabledTimers?: Names;
  filters?: readonly (readonly [name: string, settings?: object])[];
  /** `provider` is called with the other settings and gives back the method. */
  plugins?: Readonly<Record<string, PluginConfig>>;
  global?: object;
  handleSigterm?: boolean;
}

/** What is wrong with a configuration. */
export interface MetlogError extends Error {
  code: 'config' | 'io';
}

/**
 * Sets `client` up, or a new one, as a configuration says.
 * @throws {MetlogError} that names the setting.
 */
export declare function clientFromJsonConfig(
  config: string | Config,
  client?: MetlogClient | null,
  clearGlobal?: boolean,
): MetlogClient;

/** A size in bytes, or with a unit: `'4MiB'`. */
export type Size = number | string;

/** A time with its unit: `'10ms'`, `'1m 30s'`. */
export type Time = string;

/** A `URL` of a file. */
export interface FileUrl {
  readonly href: string;
}

/** Where `configure` sends to; a sender leaves the settings of others alone. */
export interface SenderSettings {
  /** `sidecar` unless given. */
  class?: 'sidecar' | 'pub' | 'udp' | 'stdout' | 'stderr' | 'file' | undefined;
  /** Of `pub`: the addresses. */
  bindstrs?: string | readonly string[] | undefined;
  /** Of `pub`: true binds them, false connects to them. */
  bind?: boolean | undefined;
  /** Of `udp`. */
  host?: string | readonly string[] | undefined;
  port?: number | readonly number[] | undefined;
  /** Of `udp`: true ends each datagram with a newline. */
  newline?: boolean | undefined;
  /** Of `file`. */
  filepath?: string | FileUrl | undefined;
}

/** What is kept from leaving. */
export interface FilterSettings {
  severityMax?: number | undefined;
  typeBlacklist?: string | readonly string[] | ReadonlySet<string> | undefined;
  typeWhitelist?: string | readonly string[] | ReadonlySet<string> | undefined;
  typeSeverityMax?: Readonly<Record<string, number>> | undefined;
  /** The share, 0 to 1, of each type named that passes. */
  typeRate?: Readonly<Record<string, number>> | undefined;
}

/** What `configure` takes; `docs/configuration.md` has every setting with its default and its variable. */
export interface Settings {
  logger?: string | undefined;
  severity?: number | undefined;
  disabledTimers?: string | readonly string[] | ReadonlySet<string> | undefined;
  filters?: FilterSettings | readonly Filter[] | undefined;
  filtersSeverityMax?: FilterSettings['severityMax'];
  filtersTypeBlacklist?: FilterSettings['typeBlacklist'];
  filtersTypeWhitelist?: FilterSettings['typeWhitelist'];
  filtersTypeSeverityMax?: FilterSettings['typeSeverityMax'];
  filtersTypeRate?: FilterSettings['typeRate'];
  /** Settings by name, or a sender: one of `metlog/senders`, or of the application. */
  sender?: SenderSettings | Sender | undefined;
  senderClass?: SenderSettings['class'];
  senderBindstrs?: SenderSettings['bindstrs'];
  senderBind?: SenderSettings['bind'];
  senderHost?: SenderSettings['host'];
  senderPort?: SenderSettings['port'];
  senderNewline?: SenderSettings['newline'];
  senderFilepath?: SenderSettings['filepath'];
  delivery?: 'push' | 'acked' | undefined;
  endpoint?: string | readonly string[] | undefined;
  linkEndpoint?: string | readonly string[] | undefined;
  queueBytes?: Size | undefined;
  batchBytes?: Size | undefined;
  batchMessages?: number | undefined;
  batchAge?: Time | undefined;
  /** True sums counters, gauges and timers by name in the process, unless a call says more than name and value. */
  aggregate?: boolean | undefined;
  aggregateInterval?: Time | undefined;
  maxNames?: number | undefined;
  statsInterval?: Time | 0 | undefined;
  /** As `MetlogClient.handleSigterm`. */
  handleSigterm?: boolean | undefined;
}

/**
 * Sets the default client up and gives it back: settings come before `METLOG_*` variables, those before the TOML file
 * that is named here or by `METLOG_CONFIG`. The client and its handles stay the same, however often this is called.
 * @throws {MetlogError} that names every setting that cannot be used.
 */
export declare function configure(settings?: Settings): MetlogClient;
export declare function configure(
  file: string | FileUrl | null | undefined,
  settings?: Settings,
): MetlogClient;

/**
 * The default client; set up by `METLOG_*` variables if nobody has configured it.
 * @throws {MetlogError} as `configure` does, when it is set up now.
 */
export declare function getClient(): MetlogClient;

/** A counter of the default client, which may be configured later. */
export declare function counter(name: string): Counter;
/** A gauge of the default client, which may be configured later. */
export declare function gauge(name: string): Gauge;
/** A timer of the default client, which may be configured later; it is summed. */
export declare function timer(name: string): Timer;

/** As `MetlogClient.bind`: it is the same for all clients. */
export declare function bind<Args extends unknown[], Result>(
  fields: object,
  fn: (...args: Args) => Result,
  ...args: Args
): Result;
export declare function bind(fields: object): Binding;

/**
 * From now on an exception or rejection that nobody catches is sent, at severity 1, before Node deals with it, which it
 * does as if this were not there.
 * @returns a function that ends this.
 */
export declare function captureUncaught(client: MetlogClient): () => void;
