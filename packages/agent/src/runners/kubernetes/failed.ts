/** A run that is over without an exit code, as an error on its way to the session's end; and what the server's refusals mean. */
import type { FailureCode } from "fleetcron-shared/model/failures";
import type { Outcome } from "fleetcron-shared/model/record";
import type { ApiFailure } from "./api-failure.ts";

export type KubernetesCode = Extract<FailureCode, `kubernetes/${string}` | "runner/spec">;

/** Thrown inside the runner, turned into `outcome` where the session ends. */
export class Ended extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(outcome.type === "failed" ? outcome.error : outcome.type);
    this.outcome = outcome;
  }
}

export function failed(code: KubernetesCode, error: string): Ended {
  return new Ended({ type: "failed", code, error });
}

/** Whether the same request may succeed later. */
export function isTransient(failure: ApiFailure): boolean {
  if (failure.kind === "network") return true;
  if (failure.kind !== "status") return false;
  const { status } = failure;
  return status === 408 || status === 429 || status >= 500;
}

/** What a refusal that will not go away makes of the run. `doing`: "create the Job a/b". */
export function refusal(failure: ApiFailure, doing: string): Ended {
  const error = `cannot ${doing}: ${failure.message}`;
  if (isTransient(failure)) return new Ended({ type: "unreachable", error });
  if (failure.kind !== "status") return failed("kubernetes/config", error);
  if (failure.status === 401 || failure.status === 403) return failed("kubernetes/forbidden", error);
  if (failure.status === 409) return failed("kubernetes/conflict", error);
  return failed("kubernetes/invalid", error);
}
