/** Why a connection, login or session over SSH did not come about: closed kinds, in words for people, without secrets. */
import type { FailureCode } from "../model/failures.ts";
import type { Outcome } from "../model/record.ts";

export type SshFailureCode = Extract<FailureCode, `ssh/${string}`>;

/** How far a connection had come when the host could not be reached. */
export type UnreachableWhy = "dns" | "refused" | "timeout" | "network" | "noBanner" | "closed";

export type SshFailure =
  /** Nobody was logged in, nothing was begun. `error` names host, port and why. */
  | { readonly type: "unreachable"; readonly why: UnreachableWhy; readonly error: string }
  | { readonly type: "failed"; readonly code: SshFailureCode; readonly error: string };

/** What the functions of this folder throw. `message` is the failure's `error`. */
export class SshError extends Error {
  readonly failure: SshFailure;

  constructor(failure: SshFailure, cause?: unknown) {
    super(failure.error, cause === undefined ? undefined : { cause });
    this.name = "SshError";
    this.failure = failure;
  }
}

export function failed(code: SshFailureCode, error: string, cause?: unknown): SshError {
  return new SshError({ type: "failed", code, error }, cause);
}

export function unreachable(why: UnreachableWhy, error: string, cause?: unknown): SshError {
  return new SshError({ type: "unreachable", why, error }, cause);
}

/** For a server that says that it opens no further session. */
export function channelRefused(name: string, why: string): SshError {
  return failed("ssh/channels", `${name}: the server opens no further session on this connection (${why})`);
}

/** The same failure, said of `where` (a jump host). */
export function failureAt(where: string, error: SshError): SshError {
  return new SshError({ ...error.failure, error: `${where}: ${error.failure.error}` }, error);
}

/** As the outcome of an attempt. */
export function outcomeOfFailure(failure: SshFailure): Outcome {
  return failure.type === "unreachable"
    ? { type: "unreachable", error: failure.error }
    : { type: "failed", code: failure.code, error: failure.error };
}
