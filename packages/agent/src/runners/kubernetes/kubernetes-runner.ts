/**
 * The kubernetes runner: a Job that is created and followed to its end, or a rollout. All that it keeps is in the cluster and in the trace, so it goes on where
 * it was after a crash. When the API is away before anything was begun the run is `unreachable`; later it waits, as long as nobody ends it.
 */
import { parseDuration } from "fleetcron-shared/base/duration";
import type { Random } from "fleetcron-shared/base/random";
import type { Outcome } from "fleetcron-shared/model/record";
import { isRecord, readManifest } from "fleetcron-shared/model/runners/kubernetes-manifest";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import type { Runner, Session, SessionDeps, SessionSpec } from "../runner.ts";
import { type ClusterEnvironment, connect } from "./connection.ts";
import { Ended, failed } from "./failed.ts";
import { filledText } from "./fill.ts";
import { runJob } from "./job.ts";
import { runRollout } from "./rollout.ts";
import { parseTrace, type Run, type Trace } from "./run.ts";
import { TIMING, type Timing } from "./timing.ts";

export type KubernetesSession = Extract<SessionSpec, { readonly runner: "kubernetes" }>;

export type KubernetesRunnerDeps = {
  readonly random: Pick<Random, "next">;
  /** The agent's own: which cluster is meant when the job does not say. */
  readonly environment: ClusterEnvironment;
  readonly timing?: Partial<Timing>;
  /** The folder of a pod's credentials, where it is not the usual one. */
  readonly serviceAccount?: string;
};

export function createKubernetesRunner(own: KubernetesRunnerDeps): Runner<KubernetesSession> & { close(): Promise<void> } {
  const timing = { ...TIMING, ...own.timing };
  const closers = new Set<() => Promise<void>>();

  function session(spec: KubernetesSession, deps: SessionDeps, trace: Trace | undefined): Session {
    const term = new AbortController();
    const kill = new AbortController();
    const { promise: late, resolve: giveUp } = Promise.withResolvers<Outcome>();
    let cancelKill = () => {};
    const work = go(spec, deps, trace, term.signal, kill.signal).catch((thrown): Outcome => {
      if (thrown instanceof Ended) return thrown.outcome;
      deps.warn(`the kubernetes runner failed: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
      return { type: "lost", why: "session" };
    });
    const done = Promise.race([work, late]).then((outcome) => {
      cancelKill();
      return { outcome };
    });
    return {
      done,
      kill(how) {
        if (how === "KILL" && !kill.signal.aborted) {
          kill.abort();
          cancelKill = deps.clock.after(timing.killMs, () => giveUp({ type: "signal", name: "SIGKILL" }));
        }
        term.abort();
      },
    };
  }

  async function go(
    session: KubernetesSession,
    host: SessionDeps,
    trace: Trace | undefined,
    term: AbortSignal,
    kill: AbortSignal,
  ): Promise<Outcome> {
    const { spec } = session;
    const deps = { ...host, random: own.random, timing };
    const connection = await connect(
      { clock: host.clock, environment: own.environment, requestMs: timing.requestMs, serviceAccount: own.serviceAccount },
      spec,
    );
    const close = () => connection.api.close();
    closers.add(close);
    try {
      const stuckMs = (spec.stuckTimeout === undefined ? undefined : parseDuration(spec.stuckTimeout)) ?? timing.stuckMs;
      const run: Run = {
        context: session,
        spec,
        connection,
        namespace: namespaceOf(spec, session, connection.namespace),
        stuckMs,
        ...(trace === undefined ? {} : { trace }),
        term,
        kill,
      };
      return isJob(spec) ? await runJob(deps, run, spec.manifest ?? "") : await runRollout(deps, run);
    } finally {
      closers.delete(close);
      await close();
    }
  }

  return {
    start: (spec, deps) => session(spec, deps, undefined),
    recover(spec, trace, deps) {
      if (trace === undefined) return session(spec, deps, undefined);
      const parsed = parseTrace(trace);
      if (parsed !== undefined) return session(spec, deps, parsed);
      deps.warn("the trace of a kubernetes run cannot be read");
      return { done: Promise.resolve({ outcome: { type: "lost", why: "session" } }), kill: () => {} };
    },
    async close() {
      await Promise.all([...closers].map((close) => close()));
    },
  };
}

function isJob(spec: KubernetesSpec): boolean {
  if (spec.manifest === undefined) return false;
  if (spec.wait !== undefined) return spec.wait === "job";
  const read = readManifest(spec.manifest);
  // What cannot be read is refused by either way.
  return "issues" in read || read.manifest.kind === "Job";
}

function namespaceOf(spec: KubernetesSpec, session: KubernetesSession, ofContext: string): string {
  if (spec.namespace !== undefined) return checked(filledText(spec.namespace, "namespace", session));
  const read = spec.manifest === undefined ? undefined : readManifest(spec.manifest);
  const own = read !== undefined && "manifest" in read && isRecord(read.manifest.metadata) ? read.manifest.metadata.namespace : undefined;
  return checked(typeof own === "string" && own !== "" ? filledText(own, "manifest: metadata.namespace", session) : ofContext);
}

function checked(namespace: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) return namespace;
  throw failed("runner/spec", `"${namespace.slice(0, 80)}" cannot be the name of a namespace; a-z, 0-9 and dash are allowed`);
}
