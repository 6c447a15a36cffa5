/** The files of an attempt, side by side in one folder of the data folder; a folder of its own costs an execution as much as the start of its process. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "fleetcron-shared/model/job";

export type AttemptFiles = {
  /** What all their paths begin with. */
  readonly base: string;
  /** Standard output and error, as the process writes them. */
  readonly log: string;
  /** What the command hands back. */
  readonly result: string;
  /** Only where there is input. */
  readonly folder: string;
};

export function attemptFiles(execDir: string, execution: string, attempt: number): AttemptFiles {
  const base = join(execDir, `${execution}-${attempt}`);
  return { base, log: `${base}.log`, result: `${base}.result`, folder: base };
}

export function needsFolder(job: Pick<Job, "run">): boolean {
  return job.run.command?.stdin !== undefined;
}

/** Removes all but what must stay for people to read. */
export function removeFiles(files: AttemptFiles, job: Pick<Job, "run" | "secrets">, options: { keepLog: boolean }): void {
  if (!options.keepLog) rmSync(files.log, { force: true });
  if (Object.keys(job.secrets).length > 0) rmSync(`${files.base}.secrets`, { force: true });
  if (needsFolder(job)) rmSync(files.folder, { recursive: true, force: true });
}
