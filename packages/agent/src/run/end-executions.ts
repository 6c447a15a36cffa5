/**
 * Ends what a stopped agent has left running in its data folder; the next agent on the folder hears how it ended, and records it. The journal's lock keeps this
 * away from a living agent. Etcd plays no part.
 */
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import type { Log } from "fleetcron-shared/base/log";
import type { JobSource } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionTrace } from "./execution.ts";
import { openJournal } from "./journal.ts";
import { sessionStart, watchSpec } from "./prepare.ts";
import { openSupervisor, type SupervisorOptions } from "./supervisor.ts";

/** Resolves with how many executions ran, once they have ended. */
export async function endExecutions(
  deps: { clock: Clock; log: Log },
  options: Omit<SupervisorOptions, "folder"> & { readonly dataDir: string },
): Promise<number> {
  const { dataDir } = options;
  const execDir = join(dataDir, "exec");
  // A session whose host died too is reached with what needs no secret.
  const sessionDeps = {
    ...{ dataDir, execDir, nodeId: "" },
    policy: { networks: () => [], file: "" },
    secrets: { resolve: () => ({ refusal: "not read" }) },
  };
  const journal = openJournal(deps, dataDir);
  try {
    const supervisor = await openSupervisor(deps, { ...options, folder: join(dataDir, "spawner") });
    for (const row of journal.executions()) {
      const { meta, spec } = JSON.parse(row.job) as JobSource;
      const { attempt, origin, fence, doneHosts = [] } = JSON.parse(row.data) as ExecutionTrace;
      const job = compileJob(meta, spec);
      const run = { id: row.id, job, origin, attempt, fence, doneHosts };
      supervisor.resume(job.run.command === undefined ? sessionStart(sessionDeps, run) : watchSpec(job, row.id, attempt, execDir));
    }
    const { running } = supervisor;
    await supervisor.close({ stopExecutions: true });
    return running;
  } finally {
    journal.close();
  }
}
