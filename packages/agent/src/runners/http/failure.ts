/** How an http call fails: an outcome in words that name what, where and why. What comes from sockets, TLS and undici is put into these words here. */
import { asError } from "fleetcron-shared/base/errors";
import type { FailureCode } from "fleetcron-shared/model/failures";
import type { Outcome } from "fleetcron-shared/model/record";

/** Thrown on the way of a call; `outcome` is what its record gets, once secrets are masked. */
export class HttpFailure extends Error {
  readonly outcome: Extract<Outcome, { type: "failed" | "unreachable" }>;

  constructor(outcome: Extract<Outcome, { type: "failed" | "unreachable" }>) {
    super(outcome.error);
    this.name = "HttpFailure";
    this.outcome = outcome;
  }
}

export function failed(code: FailureCode, error: string): HttpFailure {
  return new HttpFailure({ type: "failed", code, error });
}

export function unreachable(error: string): HttpFailure {
  return new HttpFailure({ type: "unreachable", error });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was cut",
  EHOSTUNREACH: "the host is not reachable",
  ENETUNREACH: "the network is not reachable",
  EADDRNOTAVAIL: "the host is not reachable",
  ETIMEDOUT: "the connection timed out",
  EPIPE: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
};

const CERTIFICATES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is signed by itself; if it is meant, give it as run.http.tls.ca",
  SELF_SIGNED_CERT_IN_CHAIN:
    "the server's certificate is of an authority that is not trusted; if it is meant, give the authority's as run.http.tls.ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate is of an authority that is not known; give the authority's as run.http.tls.ca",
  UNABLE_TO_GET_ISSUER_CERT: "an authority above the server's certificate is not known; give it as run.http.tls.ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the server's certificate is of an authority that is not known; give the authority's as run.http.tls.ca",
  CERT_SIGNATURE_FAILURE: "the server's certificate is not signed by the authority in run.http.tls.ca",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
  CERT_REVOKED: "the server's certificate is revoked",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "the server's certificate is for another name; check the address, or give the name as run.http.tls.serverName",
  ERR_SSL_WRONG_VERSION_NUMBER: "the server does not speak TLS on this port",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "the server does not speak TLS on this port",
};

/** `where` names the target; `detail` false: error messages of libraries may not be shown, since they name a host that is secret. */
type Where = { readonly where: string; readonly detail: boolean };

/** An error before the request was sent: nothing was begun. */
export function connectFailure(thrown: unknown, { where, detail }: Where): HttpFailure {
  const error = innerError(thrown);
  if (error instanceof HttpFailure) return error;
  return tlsFailure(error, where) ?? unreachable(`${where}: ${REASONS[codeOf(error)] ?? (detail ? error.message : codeOf(error))}`);
}

/** An error after the request was sent: the server may have done the work. */
export function exchangeFailure(thrown: unknown, { where, detail }: Where, idle: string): HttpFailure {
  const error = innerError(thrown);
  const code = codeOf(error);
  if (error instanceof HttpFailure) return error;
  if (code === "UND_ERR_HEADERS_TIMEOUT") return failed("http/idle", `${where}: no response within ${idle} (idleTimeout)`);
  if (code === "UND_ERR_BODY_TIMEOUT")
    return failed("http/idle", `${where}: silent for ${idle} in the middle of the response (idleTimeout)`);
  if (code === "UND_ERR_HEADERS_OVERFLOW") return failed("http/protocol", `${where}: the response's headers are larger than 16 KiB`);
  if (code === "UND_ERR_INVALID_ARG")
    return failed("runner/spec", `${where}: the request cannot be sent${detail ? `: ${error.message}` : ""}`);
  if (code === "Z_BUF_ERROR" || code === "HPE_INVALID_EOF_STATE" || code.startsWith("UND_ERR_RES_CONTENT_LENGTH"))
    return failed("http/cut", `${where}: the connection ended in the middle of the response`);
  if (/^(Z_|ERR_?_?(BROTLI|ERROR_FORMAT|ERROR|ZSTD|PADDING|CL_SPACE|BLOCK_)|ZSTD_|ERR_PADDING)/.test(code) || code.startsWith("ERR__ERROR"))
    return failed("http/protocol", `${where}: the body is not compressed as its content-encoding says (${code})`);
  if (code.startsWith("HPE_") || error.name === "HTTPParserError")
    return failed("http/protocol", `${where}: the answer is not valid HTTP${code === "" ? "" : ` (${code})`}`);
  const tls = tlsFailure(error, where);
  if (tls !== undefined) return tls;
  const why = REASONS[code] ?? (detail ? error.message : code);
  return failed("http/cut", `${where}: ${why} before the response was complete`);
}

function tlsFailure(error: Error, where: string): HttpFailure | undefined {
  const code = codeOf(error);
  const words = CERTIFICATES[code];
  if (words !== undefined) return failed("http/tls", `${where}: ${words}`);
  if (/CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/.test(code))
    return failed(
      "http/tls",
      `${where}: the server wants a client certificate or a TLS version that this call does not have (${code}); see run.http.tls`,
    );
  if (/ALERT/.test(code)) return failed("http/tls", `${where}: the server refused the TLS connection (${code}); look at run.http.tls.cert`);
  if (/^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_|CRL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|UNABLE_TO_)/.test(code))
    return failed("http/tls", `${where}: no TLS connection (${code})`);
  return undefined;
}

function innerError(thrown: unknown): Error {
  const error = asError(thrown);
  return error instanceof AggregateError && error.errors.length > 0 ? asError(error.errors[0]) : error;
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
