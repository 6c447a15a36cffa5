/**
 * What a failed call to etcd means: the one place that reads gRPC codes and texts. Everything behind it decides by the coded error.
 * Rule: a write is `etcd/unreachable` only when it is certain that it was not executed; what is ambiguous is `etcd/unknown-outcome`.
 */

import type { ErrorCode } from "../base/error-table.ts";
import { AppError, asError } from "../base/errors.ts";

/** `move`: another member may do better. `executed: "no"`: certainly not executed, so even a write may be tried elsewhere. */
export type EtcdFailure = {
  readonly kind: "unconnected" | "no-leader" | "timed-out" | "broken" | "final";
  readonly executed: "no" | "maybe";
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly cause: Error;
};

const TLS_TEXT =
  /certificate|self.signed|altname|wrong version number|ssl3?_|SSL routines|tlsv1|CERT_|unable to verify|EPROTO|handshake|decryption failed/i;

/** Reads an error thrown by the client library. `address` is the endpoint that was asked. */
export function classifyEtcdError(thrown: unknown, address: string): EtcdFailure {
  const cause = asError(thrown);
  const match = /^(\d+) [A-Z_]+: ([\s\S]*)$/.exec(cause.message);
  const status = match ? Number(match[1]) : undefined;
  const text = match?.[2] ?? cause.message;
  const at = `etcd at ${address}`;
  const final = (code: ErrorCode, message: string, hint?: string): EtcdFailure => ({
    kind: "final",
    executed: "no",
    code,
    message,
    cause,
    ...(hint === undefined ? {} : { hint }),
  });

  if (/lease not found/.test(text)) return final("etcd/lease-gone", "the lease does not exist any more: it has expired or was revoked");
  if (/has been compacted/.test(text)) return final("etcd/compacted", "the asked revision is compacted away");
  if (/space exceeded/.test(text))
    return final(
      "etcd/refused",
      `etcd is out of space (alarm NOSPACE): ${at} takes no writes until it is compacted, defragmented and disarmed`,
      SPACE_HINT,
    );
  if (/authentication failed/.test(text))
    return final("etcd/refused", `${at} does not accept the user or password`, "check the etcd user and password in the configuration");
  if (/user name is empty|invalid auth token/.test(text))
    return final("etcd/refused", `${at} asks for a user and password`, "give the etcd user and password in the configuration");
  if (/authentication is not enabled/.test(text))
    return final(
      "etcd/refused",
      `${at} was given a user but has no authentication enabled`,
      "remove the user, or run `etcdctl auth enable`",
    );
  if (status === 7 || /permission denied/.test(text))
    return final("etcd/refused", `the etcd user may not do this (${at}: permission denied)`, "grant its role the keys of the prefix");
  if (/no leader|too many requests/.test(text))
    return {
      kind: "no-leader",
      executed: "no",
      code: "etcd/unreachable",
      message: `${at} answers, but cannot serve: ${plain(text)}`,
      cause,
    };
  if (status === 14 || status === 4 || status === 1) return unavailable(status, text, at, cause);
  if (status === 2 || status === 13 || status === 10 || status === 15) return broken(`${at} failed: ${plain(text)}`, cause);
  if (status === 12) return final("etcd/refused", `${at} does not speak the etcd v3 protocol: ${plain(text)}`);
  if (status === undefined && !/etcdserver/.test(text)) return broken(`the call to ${at} failed: ${text}`, cause);
  return final("etcd/refused", `${at} refused the request: ${plain(text)}`);
}

function unavailable(status: number, text: string, at: string, cause: Error): EtcdFailure {
  if (/No connection established|before call started|name resolution|Name resolution/i.test(text) && status !== 4) {
    return unconnected(readable(/Last error: (.*?)\.? ?(Resolution note.*)?$/s.exec(text)?.[1] ?? plain(text)), at, cause);
  }
  if (status === 4) {
    // gRPC tells what it waited for, and before that how long what it need not wait for any more had taken ("name resolution: 0.001s").
    const unsent = /waiting for (name resolution|metadata filters|LB pick)/i.test(text) && !/remote_addr=|previous attempts:/.test(text);
    return {
      kind: "timed-out",
      executed: unsent ? "no" : "maybe",
      code: "etcd/unreachable",
      message: `${at} did not answer in time`,
      cause,
    };
  }
  return broken(`the connection to ${at} broke: ${plain(text)}`, cause);
}

function unconnected(reason: string, at: string, cause: Error): EtcdFailure {
  const failure = { kind: "unconnected", executed: "no", cause } as const;
  if (/alert (bad certificate|certificate required|unknown ca|certificate unknown)/.test(reason)) {
    return {
      ...failure,
      code: "etcd/tls",
      message: `${at} does not accept our client certificate, or asks for one and got none`,
      hint: CLIENT_CERT_HINT,
    };
  }
  if (TLS_TEXT.test(reason))
    return { ...failure, code: "etcd/tls", message: `no trusted TLS connection to ${at}: ${reason}`, hint: TLS_HINT };
  const isTls = at.includes("https://");
  const wrongScheme = /ECONNRESET|Failed to connect|disconnected before secure TLS/.test(reason);
  const hint = wrongScheme
    ? { hint: isTls ? "if this etcd does not use TLS, give http://" : "if this etcd uses TLS, give https:// and its CA" }
    : {};
  return { ...failure, code: "etcd/unreachable", message: `no connection to ${at}: ${reason}`, ...hint };
}

/** Without what only a programmer wants: class names, source positions, the time of the failure. */
function readable(reason: string): string {
  if (reason === "null") return "it is not connected yet";
  return reason
    .replace(/^Error( \[\w+\])?: /, "")
    .replace(/^[0-9A-F]+:error:[0-9A-F]+:(?:[^:]*:){2}/, "")
    .replace(/:\.\.\/deps.*$/s, "")
    .replace(/\s*\(\d{4}-\d\d-\d\dT[^)]*\)/, "")
    .trim();
}

function broken(message: string, cause: Error): EtcdFailure {
  return { kind: "broken", executed: "maybe", code: "etcd/unreachable", message, cause };
}

/** The error for the caller: an ambiguous failure of a write has an unknown outcome. */
export function toAppError(failure: EtcdFailure, kind: "read" | "write"): AppError {
  const { cause, message, hint } = failure;
  const more = { cause, ...(hint === undefined ? {} : { hint }) };
  if (kind === "write" && failure.executed === "maybe")
    return new AppError("etcd/unknown-outcome", `${message}; the write may or may not have happened`, more);
  return new AppError(failure.code, message, more);
}

function plain(text: string): string {
  return text.replace(/^etcdserver: /, "").replace(/^mvcc: /, "");
}

const SPACE_HINT =
  "run `etcdctl compact`, `etcdctl defrag`, `etcdctl alarm disarm`; raise --quota-backend-bytes and set --auto-compaction-retention";
const TLS_HINT = "check that the CA is the one that signed etcd's certificate, and that the certificate names the host in the URL";
const CLIENT_CERT_HINT = "give a client certificate and key that are signed by the CA that etcd trusts (--trusted-ca-file)";
