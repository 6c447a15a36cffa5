/** The certificate of the REST API: read at the start and again on SIGHUP, so that a renewed one needs no restart. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { AppError, asError } from "fleetcron-shared/base/errors";

export type TlsFiles = { readonly cert: string; readonly key: string };
export type TlsPems = { readonly cert: Buffer; readonly key: Buffer };

/** Throws `config/invalid` for files that cannot be read, are no PEM, or do not belong together. */
export function readTls({ cert, key }: TlsFiles): TlsPems {
  const pems = { cert: read("tlsCert", cert), key: read("tlsKey", key) };
  try {
    if (new X509Certificate(pems.cert).checkPrivateKey(createPrivateKey(pems.key))) return pems;
  } catch (cause) {
    throw new AppError("config/invalid", `${cert} and ${key} are not a certificate and its key: ${asError(cause).message}`, {
      cause,
      hint: "both must be PEM files, the key without a passphrase",
    });
  }
  throw new AppError("config/invalid", `the key ${key} does not belong to the certificate ${cert}`, { hint: "check tlsCert and tlsKey" });
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new AppError("config/invalid", `${setting}: ${path} cannot be read: ${asError(cause).message}`, { cause });
  }
}
