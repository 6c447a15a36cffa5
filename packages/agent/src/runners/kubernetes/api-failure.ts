/** Why a request did not bring what was asked for: one error for refusals by the server, for connections and for credentials. */

export type FailureKind =
  /** The server answered with a status that is not 2xx. */
  | "status"
  /** No answer, or half of one: the request may have been carried out. */
  | "network"
  /** The request could not be made: credentials, certificates. */
  | "credentials";

export class ApiFailure extends Error {
  readonly kind: FailureKind;
  /** HTTP status; 0 unless `kind` is status. */
  readonly status: number;
  /** The reason in the server's Status object, such as AlreadyExists. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(kind: FailureKind, message: string, more: { status?: number; reason?: string; retryAfterMs?: number | undefined } = {}) {
    super(message);
    this.kind = kind;
    this.status = more.status ?? 0;
    this.reason = more.reason ?? "";
    this.retryAfterMs = more.retryAfterMs;
  }
}

const MAX_WORDS = 2000;

/** The refusal in an answer's body: a Status object, or whatever a proxy has put there. */
export function statusFailure(status: number, headers: Readonly<Record<string, string>>, body: string): ApiFailure {
  const { message, reason } = statusOf(body);
  const seconds = Number(headers["retry-after"]);
  const words = message ?? (body.trim() === "" || body.includes("<html") ? "" : body.trim());
  return new ApiFailure("status", `the server says: ${(words === "" ? `HTTP ${status}` : words).slice(0, MAX_WORDS)}`, {
    status,
    reason: reason ?? "",
    retryAfterMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined,
  });
}

/** A certificate that one side does not accept will not be accepted a second later. */
const TLS = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;

/** A connection that failed, was cut, or took too long. */
export function networkFailure(server: string, thrown: unknown): ApiFailure {
  const causes: { code?: string; message?: string }[] = [];
  for (let cause = thrown; typeof cause === "object" && cause !== null && causes.length < 5; cause = (cause as Error).cause) {
    causes.push(cause);
    const many = (cause as AggregateError).errors;
    if (Array.isArray(many)) causes.push(...many);
  }
  const words = causes.findLast(({ message }) => message !== undefined && message !== "")?.message ?? String(thrown);
  const tls = causes.some(({ code }) => code !== undefined && TLS.test(code));
  if (tls) return new ApiFailure("credentials", `no trusted TLS connection to ${server}: ${words}`);
  return new ApiFailure("network", `the API server ${server} does not answer: ${words}`);
}

function statusOf(body: string): { message?: string; reason?: string } {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== "object" || value === null) return {};
    const { message, reason } = value as { message?: unknown; reason?: unknown };
    return { ...(typeof message === "string" ? { message } : {}), ...(typeof reason === "string" ? { reason } : {}) };
  } catch {
    return {};
  }
}
