/** `run.http`: one HTTP call from the node. `${NAME}` in url, proxy, headers and body stands for the execution's variables. */

export type HttpSpec = {
  /** Default GET. */
  readonly method?: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text as it is, or a mapping or list, which is sent as JSON. */
  readonly body?: string | Readonly<Record<string, unknown>> | readonly unknown[];
  /** Such as 200, "2xx" or "200-204". Default `["2xx"]`. */
  readonly expectStatus?: readonly (number | string)[];
  /** A regular expression that the beginning of the body (1 MiB) must match. */
  readonly expectBody?: string;
  /** How many redirects are followed. Default 5. */
  readonly maxRedirects?: number;
  /** Until the connection is there. Default 10s. */
  readonly connectTimeout?: string;
  /** The longest silence while waiting for the response or in the middle of it. Default 1m. */
  readonly idleTimeout?: string;
  /** `http://[user:password@]host:port`; absent = none (the environment's proxy variables are not used). */
  readonly proxy?: string;
  readonly tls?: {
    /** PEM files on the agent's host. */
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    /** Of `key`: the name of one of the job's `secrets`. */
    readonly passphrase?: string;
    readonly serverName?: string;
  };
};
