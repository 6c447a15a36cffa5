/** A run that is a rollout: the change is made, and followed until the new pods are there or will not come. */
import type { Outcome } from "fleetcron-shared/model/record";
import { ApiFailure } from "./api-failure.ts";
import { Ended, failed, refusal } from "./failed.ts";
import { OWNER, ownerOf } from "./job-object.ts";
import type { Pod, Workload } from "./objects.ts";
import { reflect, type Sink } from "./reflector.ts";
import { persist } from "./retry.ts";
import { type Change, changeOf, workloadsPath } from "./rollout-change.ts";
import { hasDeadline, podReasons, rolloutStatus } from "./rollout-status.ts";
import { note, type Run, type RunDeps, type Trace } from "./run.ts";

/** How often pods are looked at within stuckTimeout. */
const CHECKS = 5;

/** Throws Ended. */
export async function runRollout(deps: RunDeps, run: Run): Promise<Outcome> {
  const change = changeOf(run);
  const where = `the ${change.kind} ${run.namespace}/${change.name}`;
  const stopped = (): Outcome => ({ type: "signal", name: run.kill.aborted ? "SIGKILL" : "SIGTERM" });
  let sent = false;
  try {
    // Nothing was begun yet, so a cluster that is away is another matter than one that goes away later.
    const found = await persist(deps, () => change.read(run.term), run.term, run.trace === undefined ? deps.timing.reachMs : undefined);
    const mine = found?.metadata?.annotations?.[OWNER] === ownerOf(run.context);
    if (run.trace !== undefined && !mine) throw superseded(where, found);
    let object = mine ? found : undefined;
    if (object === undefined) {
      await note(deps, change.words);
      sent = true;
      object = await change.make(deps, run);
    }
    deps.begun(traceOf(deps, run, change, object));
    return await follow(deps, run, change, object);
  } catch (thrown) {
    if (!run.term.aborted) throw thrown instanceof ApiFailure ? refusal(thrown, `read ${where}`) : thrown;
    if (sent) await note(deps, `asked to end; ${where} may have been changed already, and that stays so`);
    return stopped();
  }
}

async function follow(deps: RunDeps, run: Run, change: Change, began: Workload): Promise<Outcome> {
  const where = `the ${change.kind} ${run.namespace}/${change.name}`;
  const stop = new AbortController();
  const { promise: over, resolve, reject } = Promise.withResolvers<Outcome>();
  let said = "";
  let written: Promise<void> = Promise.resolve();
  let latest = began;
  let stuckSince: number | undefined;
  let stopChecks = deps.clock.after(run.stuckMs / CHECKS, () => void checkPods());
  const say = (words: string) => {
    if (words !== said) written = written.then(() => note(deps, words)).catch(() => {});
    said = words;
  };

  function look(object: Workload): void {
    if (object.metadata?.annotations?.[OWNER] !== ownerOf(run.context)) return reject(superseded(where, object));
    const status = rolloutStatus(change.kind, object);
    if (status.is === "stuck") return void fail(object, status.words);
    say(status.words);
    if (status.is === "done") return resolve({ type: "exit", code: 0 });
    latest = object;
  }

  /** The cluster never gives up on these kinds, so nothing but the pods can say that it is hopeless. */
  async function checkPods(): Promise<void> {
    const reasons = hasDeadline(change.kind, latest) ? [] : await reasonsOf(latest);
    if (stop.signal.aborted) return;
    if (reasons.length === 0) stuckSince = undefined;
    else stuckSince ??= deps.clock.mono();
    if (stuckSince !== undefined && deps.clock.mono() - stuckSince >= run.stuckMs)
      return reject(failed("kubernetes/rolloutStuck", `${where} does not go on: ${reasons.join("; ")}`));
    stopChecks = deps.clock.after(run.stuckMs / CHECKS, () => void checkPods());
  }

  async function fail(object: Workload, words: string): Promise<void> {
    const reasons = await reasonsOf(object);
    reject(failed("kubernetes/rolloutStuck", [words, ...reasons].join("; ")));
  }

  async function reasonsOf(object: Workload): Promise<string[]> {
    const labels = Object.entries(object.spec?.selector?.matchLabels ?? {});
    const query = { labelSelector: labels.map(([name, value]) => `${name}=${value}`).join(",") };
    const path = `/api/v1/namespaces/${encodeURIComponent(run.namespace)}/pods`;
    const list = () => run.connection.api.call<{ items?: readonly Pod[] }>({ method: "GET", path, query }, stop.signal);
    const { items = [] } = await persist(deps, list, stop.signal, deps.timing.reachMs).catch(() => ({ items: [] }));
    return podReasons(object, items);
  }

  const gone = () => reject(failed("kubernetes/deleted", `${where} was deleted during its rollout`));
  look(began);
  const sink: Sink<Workload> = {
    replace: ([object]) => (object === undefined ? gone() : look(object)),
    upsert: look,
    remove: gone,
  };
  const path = workloadsPath(change.kind, run.namespace);
  void reflect({ ...deps, api: run.connection.api }, { path, fieldSelector: `metadata.name=${change.name}` }, sink, stop.signal).catch(
    (thrown) => reject(thrown instanceof ApiFailure ? refusal(thrown, `follow ${where}, whose rollout goes on`) : thrown),
  );
  const asked = () => reject(new Ended({ type: "signal", name: run.kill.aborted ? "SIGKILL" : "SIGTERM" }));
  run.term.addEventListener("abort", asked, { once: true });
  if (run.term.aborted) asked();
  try {
    return await over;
  } catch (thrown) {
    if (run.term.aborted)
      say(`asked to end: the rollout of ${where} is not followed any more, but goes on in the cluster; kubectl rollout undo takes it back`);
    throw thrown;
  } finally {
    run.term.removeEventListener("abort", asked);
    stop.abort();
    stopChecks();
    await written;
  }
}

function superseded(where: string, object: Workload | undefined): Ended {
  if (object === undefined) return failed("kubernetes/deleted", `${where} was deleted while nobody followed its rollout`);
  const by = object.metadata?.annotations?.[OWNER];
  return failed(
    "kubernetes/conflict",
    `${where} was changed meanwhile by ${by === undefined ? "somebody else" : `the execution ${by}`}, so this rollout did not come to its end`,
  );
}

function traceOf(deps: RunDeps, run: Run, change: Change, object: Workload): string {
  const trace: Trace = { v: 1, namespace: run.namespace, name: change.name, uid: object.metadata?.uid ?? "", atMs: deps.clock.now() };
  return JSON.stringify(trace);
}
