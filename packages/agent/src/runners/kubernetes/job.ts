/** A run that is a Job: created or found again, followed with its logs, ended on request. */
import type { Outcome } from "fleetcron-shared/model/record";
import { filledManifest } from "./fill.ts";
import { ensureSecret, findJob, obtainJob } from "./job-create.ts";
import { deleteJob, deleteSecret, endByForce } from "./job-end.ts";
import { followJob, type JobFollower } from "./job-follow.ts";
import { jobName } from "./job-object.ts";
import { createLogs, type Logs } from "./logs.ts";
import { type Job, nameOf } from "./objects.ts";
import { persist } from "./retry.ts";
import { meantFor, type Run, type RunDeps, type Trace } from "./run.ts";

const TERM: Outcome = { type: "signal", name: "SIGTERM" };
const KILL: Outcome = { type: "signal", name: "SIGKILL" };

/** Throws Ended. */
export async function runJob(deps: RunDeps, run: Run, text: string): Promise<Outcome> {
  const manifest = filledManifest(text, meantFor(run), run.context);
  let sent = run.trace !== undefined;
  let job: Job | undefined;
  try {
    job = await obtainJob(deps, run, manifest, () => {
      sent = true;
    });
    deps.begun(traceOf(deps, run, job, run.trace?.since));
    await ensureSecret(deps, run, job);
  } catch (thrown) {
    if (!run.term.aborted) {
      // A Job that waits for its Secret for ever helps nobody.
      if (job !== undefined) await endQuickly(deps, run, nameOf(job));
      throw thrown;
    }
    job ??= sent && !run.kill.aborted ? await lookAgain(deps, run, jobName(manifest, run.context)) : undefined;
    if (run.kill.aborted && sent) await endQuickly(deps, run, jobName(manifest, run.context));
    if (run.kill.aborted || job === undefined) return run.kill.aborted ? KILL : TERM;
  }
  return await follow(deps, run, job);
}

/** Asked to end while a request was under way that may have made the Job, or may make it yet: then it is there a moment later. */
async function lookAgain(deps: RunDeps, run: Run, name: string): Promise<Job | undefined> {
  const find = () => persist(deps, () => findJob(run, name, run.kill), run.kill);
  try {
    const found = await find();
    if (found !== undefined) return found;
    await deps.clock.sleep(deps.timing.killMs / 4, run.kill);
    return await find();
  } catch (thrown) {
    if (!run.kill.aborted) deps.warn(`the Job ${run.namespace}/${name} may be there: ${words(thrown)}`);
    return undefined;
  }
}

async function follow(deps: RunDeps, run: Run, job: Job): Promise<Outcome> {
  let toldAt = deps.clock.mono();
  const logs = createLogs(
    { ...deps, api: run.connection.api },
    {
      namespace: encodeURIComponent(run.namespace),
      manyPods: (job.spec?.parallelism ?? 1) > 1,
      since: run.trace?.since ?? {},
      progress() {
        if (deps.clock.mono() - toldAt < deps.timing.traceMs) return;
        toldAt = deps.clock.mono();
        deps.begun(traceOf(deps, run, job, logs.since));
      },
    },
  );
  const follower = followJob(deps, run, job, logs);
  try {
    const over = await Promise.race([follower.over, ended(deps, run, job, follower)]);
    if (over === "killed") return await killed(deps, run, job, follower, logs);
    const outcome = await follower.refresh(over.outcome);
    await Promise.race([logs.drain(deps.timing.drainMs), aborted(run.kill)]);
    await tidy(deps, run, job, over.goesOn);
    return outcome;
  } finally {
    follower.stop();
    logs.stop();
  }
}

/** At TERM the Job is deleted with its pods, which take their own time; the follower sees it go. Resolves at KILL only. */
async function ended(deps: RunDeps, run: Run, job: Job, follower: JobFollower): Promise<"killed"> {
  await aborted(run.term);
  if (!run.kill.aborted) {
    follower.ending(TERM);
    const remove = () => deleteJob(run, nameOf(job), job.metadata?.uid, "Foreground", run.kill);
    void persist(deps, remove, run.kill).catch((thrown) => {
      if (!run.kill.aborted) deps.warn(`the Job ${run.namespace}/${nameOf(job)} could not be deleted: ${words(thrown)}`);
    });
  }
  await aborted(run.kill);
  return "killed";
}

async function killed(deps: RunDeps, run: Run, job: Job, follower: JobFollower, logs: Logs): Promise<Outcome> {
  follower.ending(KILL);
  const late = new AbortController();
  const cancel = deps.clock.after(deps.timing.killMs * 0.8, () => late.abort());
  const requests = [
    endByForce(run, job, follower.pods(), late.signal),
    // Where there are secrets: the cluster's own clearing up may take a while.
    deleteSecret(run, nameOf(job), late.signal).catch(() => {}),
  ];
  const results = await Promise.allSettled(requests);
  cancel();
  const refused = results.find((result) => result.status === "rejected");
  if (refused !== undefined) deps.warn(`the Job ${run.namespace}/${nameOf(job)} or its pods may still be there: ${words(refused.reason)}`);
  await Promise.race([logs.drain(deps.timing.killMs * 0.1), deps.clock.sleep(deps.timing.killMs * 0.15)]);
  return KILL;
}

/** The Job stays for people to look at, until its time is over; one that would go on does not, and neither do the secrets. */
async function tidy(deps: RunDeps, run: Run, job: Job, goesOn: boolean): Promise<void> {
  const name = nameOf(job);
  const hasSecret = Object.keys(run.context.secrets).length > 0;
  const tasks = [
    ...(goesOn ? [() => deleteJob(run, name, job.metadata?.uid, "Background", run.kill)] : []),
    ...(hasSecret ? [() => deleteSecret(run, name, run.kill)] : []),
  ];
  for (const task of tasks) {
    await persist(deps, task, run.kill, deps.timing.drainMs).catch((thrown) =>
      deps.warn(`the ${task === tasks[0] && goesOn ? "Job" : "Secret"} ${run.namespace}/${name} could not be deleted: ${words(thrown)}`),
    );
  }
}

/** By force, whatever there is of it. */
async function endQuickly(deps: RunDeps, run: Run, name: string): Promise<void> {
  const late = new AbortController();
  const cancel = deps.clock.after(deps.timing.killMs * 0.8, () => late.abort());
  try {
    const found = await findJob(run, name, late.signal);
    if (found === undefined) return;
    await endByForce(run, found, [], late.signal);
  } catch (thrown) {
    deps.warn(`the Job ${run.namespace}/${name} or its pods may be there: ${words(thrown)}`);
  } finally {
    cancel();
  }
}

function traceOf(deps: RunDeps, run: Run, job: Job, since: Trace["since"]): string {
  const trace: Trace = {
    v: 1,
    namespace: run.namespace,
    name: nameOf(job),
    uid: job.metadata?.uid ?? "",
    atMs: deps.clock.now(),
    ...(job.spec?.ttlSecondsAfterFinished === undefined ? {} : { ttlSeconds: job.spec.ttlSecondsAfterFinished }),
    ...(since === undefined ? {} : { since }),
  };
  return JSON.stringify(trace);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function words(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
