/** What a run of either kind is made of: the cluster, the job's fields with their values, and how it is asked to end. */

import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import type { SessionContext, SessionDeps } from "../runner.ts";
import type { Connection } from "./connection.ts";
import type { RetryDeps } from "./retry.ts";

export type RunDeps = RetryDeps & SessionDeps;

export type Run = {
  readonly context: SessionContext;
  readonly spec: KubernetesSpec;
  readonly connection: Connection;
  readonly namespace: string;
  readonly stuckMs: number;
  /** Of a run that is recovered: the last trace, or "none" when none was told. Absent: a first start. */
  readonly trace?: Trace;
  /** Aborts at TERM and at KILL. */
  readonly term: AbortSignal;
  /** Aborts at KILL. */
  readonly kill: AbortSignal;
};

/** What is needed to find the work again, as kept by `begun`. */
export type Trace = {
  readonly v: 1;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Wall clock, of this trace. */
  readonly atMs: number;
  /** Of a Job: how long the cluster keeps it after its end. */
  readonly ttlSeconds?: number;
  /** Of a Job: the newest line of each container. */
  readonly since?: Readonly<Record<string, string>>;
};

/** The fields that a manifest must agree with, with their values put in. */
export function meantFor(run: Run): Pick<KubernetesSpec, "wait" | "namespace"> {
  const { wait, namespace } = run.spec;
  return { ...(wait === undefined ? {} : { wait }), ...(namespace === undefined ? {} : { namespace: run.namespace }) };
}

/** The trace of a run, or undefined when the text is none. */
export function parseTrace(text: string): Trace | undefined {
  try {
    const trace = JSON.parse(text) as Trace;
    return trace.v === 1 && typeof trace.name === "string" && typeof trace.namespace === "string" ? trace : undefined;
  } catch {
    return undefined;
  }
}

/** A line of the runner's own in the execution's log. */
export async function note(deps: Pick<SessionDeps, "write">, text: string): Promise<void> {
  await deps.write(Buffer.from(`fleetcron: ${text}\n`));
}
