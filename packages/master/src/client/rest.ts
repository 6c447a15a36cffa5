/**
 * One HTTP call to a master and every way it can fail, as an AppError: no master there (`server/unreachable`), something else there, a
 * problem that the master reports (its own code, hint and issues). A change whose answer is lost says that it may have happened.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { ERROR_TABLE, type ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Problem } from "../http/api-schema.ts";

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
export type Call = {
  readonly query?: Query;
  readonly body?: unknown;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /** An Idempotency-Key: when the answer is lost, the same is sent again for a while. */
  readonly once?: string | undefined;
};
/** `path` begins with `/`; the answer's JSON comes back as the type that the caller knows from the API's schema. */
export type Rest = {
  readonly server: string;
  send<T>(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, call?: Call): Promise<T>;
  /** A GET whose answer is read by the caller, as it comes: `timeoutMs` is for its beginning. */
  open(
    path: string,
    call: Pick<Call, "query" | "timeoutMs"> & { headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response>;
};

/** How long a call with a key is repeated; long enough for the next leader, or for a master that is started again. */
const REPEAT_MS = 20_000;
const REPEAT_PAUSE_MS = 500;
/** What passes by itself. */
const REPEATED: readonly ErrorCode[] = [
  "server/unreachable",
  "server/not-ready",
  "etcd/unreachable",
  "etcd/unknown-outcome",
  "etcd/lease-gone",
];

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export function createRest(
  deps: { clock: Pick<Clock, "after" | "sleep" | "mono">; fetch: Fetch },
  options: { server: string; token: string | undefined },
): Rest {
  const { server, token } = options;

  async function sendOnce<T>(method: string, path: string, call: Call): Promise<T> {
    const timeoutMs = call.timeoutMs ?? 30_000;
    const abort = new AbortController();
    const cancel = deps.clock.after(timeoutMs, () => abort.abort());
    try {
      const response = await deps.fetch(server + path + queryText(call.query), {
        method,
        headers: {
          accept: "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          ...(call.once === undefined ? {} : { "idempotency-key": call.once }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        redirect: "error",
        signal: abort.signal,
      });
      const text = await response.text();
      if (!response.ok) throw problemError(server, response.status, text);
      return (text === "" ? undefined : parseAnswer(server, text)) as T;
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      throw unreachable(server, method, abort.signal.aborted ? `no answer within ${timeoutMs / 1000} s` : causeText(thrown), thrown);
    } finally {
      cancel();
    }
  }

  return {
    server,
    async open(path, call) {
      const timeoutMs = call.timeoutMs ?? 30_000;
      const late = new AbortController();
      const cancel = deps.clock.after(timeoutMs, () => late.abort());
      try {
        const response = await deps.fetch(server + path + queryText(call.query), {
          headers: { ...call.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
          redirect: "error",
          signal: call.signal === undefined ? late.signal : AbortSignal.any([late.signal, call.signal]),
        });
        if (!response.ok) throw problemError(server, response.status, await response.text());
        return response;
      } catch (thrown) {
        if (thrown instanceof AppError) throw thrown;
        throw unreachable(server, "GET", late.signal.aborted ? `no answer within ${timeoutMs / 1000} s` : causeText(thrown), thrown);
      } finally {
        cancel();
      }
    },
    async send<T>(method: string, path: string, call: Call = {}): Promise<T> {
      const untilMs = deps.clock.mono() + (call.once === undefined ? 0 : REPEAT_MS);
      for (let tries = 0; ; tries++) {
        try {
          return await sendOnce<T>(method, path, call);
        } catch (error) {
          // Under its key it happens once however often it is sent; without one, only the caller can know.
          const mayRepeat = error instanceof AppError && (tries > 0 || error.code !== "server/unreachable" || isLost(error));
          if (!mayRepeat || !error.row.retry || !REPEATED.includes(error.code) || deps.clock.mono() >= untilMs) throw error;
          await deps.clock.sleep(REPEAT_PAUSE_MS);
        }
      }
    },
  };
}

/** `?a=1&b=x&b=y`, or nothing. */
function queryText(query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined
      ? []
      : (Array.isArray(value) ? value : [value]).map((one) => `${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`),
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** A problem that came as an event. */
export function eventError(server: string, text: string): AppError {
  return problemError(server, 500, text);
}

/** What the master says went wrong; an answer that is no problem document comes from something else or from a proxy before it. */
function problemError(server: string, status: number, text: string): AppError {
  const problem = parseProblem(text);
  if (problem === undefined) {
    return new AppError(
      status === 401 || status === 403 ? "auth/denied" : "server/unreachable",
      `${server} answered ${status}, and not as a Fleetcron master does`,
      {
        hint: "check --server (FLEETCRON_SERVER): it must be the address that `fleetcron serve` or `fleetcron up` printed",
      },
    );
  }
  const more = { issues: problem.issues ?? [], ...(problem.hint === undefined ? {} : { hint: problem.hint }) };
  return new AppError(knownCode(problem.code, status), problem.detail, more as ConstructorParameters<typeof AppError>[2]);
}

function parseProblem(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    return typeof value?.code === "string" && typeof value.detail === "string" ? (value as Problem) : undefined;
  } catch {
    return undefined;
  }
}

/** A newer master may know codes that we do not; the status tells their family. */
function knownCode(code: string, status: number): ErrorCode {
  if (code in ERROR_TABLE) return code as ErrorCode;
  if (status === 401 || status === 403) return "auth/denied";
  if (status === 404) return "route/not-found";
  if (status === 409 || status === 412) return "write/conflict";
  return status < 500 ? "input/invalid" : "server/not-ready";
}

function parseAnswer(server: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("server/unreachable", `${server} does not answer as a Fleetcron master does`, {
      cause,
      hint: "check --server (FLEETCRON_SERVER)",
    });
  }
}

const LOST = "; the change may or may not have been made: look before you repeat it";

/** Whether the master may have done what was asked. */
function isLost(error: AppError): boolean {
  return error.message.endsWith(LOST);
}

function unreachable(server: string, method: string, why: string, cause: unknown): AppError {
  const tls = tlsHint(server, cause);
  if (tls !== undefined) return new AppError("server/unreachable", `no trusted connection to ${server}: ${why}`, { cause, hint: tls });
  const lost = method !== "GET" && !/ECONNREFUSED|ENOTFOUND|refused|found/.test(why) ? LOST : "";
  return new AppError("server/unreachable", `no master can be reached at ${server}: ${why}${lost}`, {
    cause,
    hint: "start one with `fleetcron up` or `fleetcron serve`, or name another with --server (FLEETCRON_SERVER)",
  });
}

/** What to do when it is the certificate, or that there is none; undefined for anything else. */
function tlsHint(server: string, thrown: unknown): string | undefined {
  const code = causeCode(thrown);
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_UNTRUSTED/.test(code)) {
    return "its certificate is of nobody who is trusted here: name the authority's certificate with --ca FILE (FLEETCRON_CA)";
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "the certificate is for other names: use one of them in --server, or add this one to the certificate";
  if (code === "CERT_HAS_EXPIRED") return "renew the master's certificate and send the master a SIGHUP";
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH/.test(code)) return `the master there speaks no TLS: use ${server.replace("https:", "http:")}`;
  if (/^HPE_/.test(code) && server.startsWith("http:")) return `it may speak TLS: use ${server.replace("http:", "https:")}`;
  return undefined;
}

function causeCode(thrown: unknown): string {
  let error = asError(thrown);
  while (error.cause !== undefined) error = asError(error.cause);
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** fetch hides the reason in `cause`, and that one sometimes in `errors`. */
function causeText(thrown: unknown): string {
  let error = asError(thrown);
  while (error.cause !== undefined) error = asError(error.cause);
  if (error instanceof AggregateError && error.errors.length > 0) error = asError(error.errors[0]);
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return "the connection was refused";
  return code === "ENOTFOUND" ? "the host name is not found" : error.message;
}
