/**
 * Ends what a stopped agent has left running in its data folder; the next agent on the folder hears how it ended, and records it. The journal's lock keeps this
 * away from a living agent. Etcd plays no part.
 */
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import type { Log } from "fleetcron-shared/base/log";
import type { JobSource } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { watchSpec } from "./attempt.ts";
import type { ExecutionTrace } from "./execution.ts";
import { openJournal } from "./journal.ts";
import { openSupervisor, type SupervisorOptions } from "./supervisor.ts";

/** Resolves with how many executions ran, once they have ended. */
export async function endExecutions(
  deps: { clock: Clock; log: Log },
  options: Omit<SupervisorOptions, "folder"> & { readonly dataDir: string },
): Promise<number> {
  const { dataDir } = options;
  const journal = openJournal(deps, dataDir);
  try {
    const supervisor = await openSupervisor(deps, { ...options, folder: join(dataDir, "spawner") });
    for (const row of journal.executions()) {
      const { meta, spec } = JSON.parse(row.job) as JobSource;
      const { attempt } = JSON.parse(row.data) as ExecutionTrace;
      supervisor.resume(watchSpec(compileJob(meta, spec), row.id, attempt, join(dataDir, "exec")));
    }
    const { running } = supervisor;
    await supervisor.close({ stopExecutions: true });
    return running;
  } finally {
    journal.close();
  }
}
