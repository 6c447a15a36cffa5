/** How etcd is reached: the options of the etcd adapter, checked and read once. */
import { readFileSync } from "node:fs";
import { AppError, asError } from "../base/errors.ts";

export type EtcdOptions = {
  /** `http://host:port` or `https://host:port`; also `host:port`, which is https when `tls` is given. */
  readonly endpoints: readonly string[];
  /** Each is PEM text or the path of a PEM file. Without `ca` the system's authorities are trusted. */
  readonly tls?: { readonly ca?: string | undefined; readonly cert?: string | undefined; readonly key?: string | undefined } | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Deadline of one call, all its attempts together. Default 2 s. */
  readonly callTimeoutMs?: number | undefined;
  /** Stores of one process share a connection, unless names here tell them apart. */
  readonly connection?: string | undefined;
};

/** The options that the settings of a program (base/settings.ts) stand for. */
export function etcdOptionsOf(settings: {
  readonly etcd: readonly string[];
  readonly etcdCa?: string;
  readonly etcdCert?: string;
  readonly etcdKey?: string;
  readonly etcdUser?: string;
  readonly etcdPassword?: string;
}): EtcdOptions {
  const tls = { ca: settings.etcdCa, cert: settings.etcdCert, key: settings.etcdKey };
  const usesTls =
    Object.values(tls).some((path) => path !== undefined) || settings.etcd.some((endpoint) => endpoint.startsWith("https://"));
  return {
    endpoints: settings.etcd,
    ...(usesTls ? { tls } : {}),
    ...(settings.etcdUser === undefined ? {} : { user: settings.etcdUser, password: settings.etcdPassword ?? "" }),
  };
}

export type TlsCredentials = { readonly rootCertificate: Buffer; readonly certChain?: Buffer; readonly privateKey?: Buffer };

/** The endpoint as `scheme://host:port`. Throws `config/invalid`. */
export function normalizeEndpoint(endpoint: string, tls: boolean): string {
  const text = /^https?:\/\//.test(endpoint) ? endpoint : `${tls ? "https" : "http"}://${endpoint}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || url.pathname !== "/") {
    throw new AppError("config/invalid", `the etcd endpoint "${endpoint}" is not of the form http://host:port or https://host:port`);
  }
  if (tls && url.protocol !== "https:")
    throw new AppError("config/invalid", `the etcd endpoint "${endpoint}" is http, but certificates are configured: use https`);
  return `${url.protocol}//${url.hostname}:${url.port || "2379"}`;
}

/** The certificates of the options, read. Throws `config/invalid`. */
export function readCredentials(options: EtcdOptions): TlsCredentials | undefined {
  const { tls } = options;
  if (tls === undefined) return undefined;
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new AppError("config/invalid", "the etcd client certificate and its key must be given together");
  const pem = (what: string, value: string | undefined) => {
    if (value === undefined || value.includes("-----BEGIN ")) return value === undefined ? undefined : Buffer.from(value);
    try {
      return readFileSync(value);
    } catch (error) {
      throw new AppError("config/invalid", `the etcd ${what} cannot be read: ${asError(error).message}`, { cause: error });
    }
  };
  const [ca, cert, key] = [pem("CA", tls.ca), pem("certificate", tls.cert), pem("key", tls.key)];
  // null stands for the system's authorities, which the client library's types do not name.
  return {
    rootCertificate: (ca ?? null) as Buffer,
    ...(cert === undefined || key === undefined ? {} : { certChain: cert, privateKey: key }),
  };
}
