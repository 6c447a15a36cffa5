/**
 * What ended executions left on disk: swept at start and every hour, by age and by the size of all together, so that it does not grow without
 * bound. What an active execution needs is never touched, nor is what has another name than ours. Knows nothing of etcd.
 */
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import { idTimeMs } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import { finishLog } from "./compact.ts";
import type { Masker } from "./masker.ts";

const SWEEP_EVERY_MS = 3_600_000;
/** A copy that nobody has worked on for so long is one that a crash has left. */
const STALE_MS = 600_000;

type SweepDeps = {
  readonly clock: Pick<Clock, "now">;
  /** What to hide in the log of the attempt at this path (without `.log`). */
  maskerOf(attemptPath: string): Masker | undefined;
};

export type RetentionLimits = { readonly maxAgeMs: number; readonly maxBytes: number };

/** Removes what ended attempts left if it is too old, or the oldest while all together take too much disk. Returns how many attempts it removed. */
export async function sweepLogs(
  deps: SweepDeps,
  dir: string,
  limits: RetentionLimits,
  isActive: (execution: string) => boolean,
): Promise<number> {
  let bytes = 0;
  let removed = 0;
  for (const [attempt, names] of newestFirst(await readdir(dir))) {
    const execution = attempt.slice(0, attempt.lastIndexOf("-"));
    if (isActive(execution)) continue;
    await finishAfterCrash(deps, join(dir, attempt), names, attempt);
    for (const name of names) bytes += await diskBytes(join(dir, name));
    const ageMs = deps.clock.now() - (idTimeMs(execution) ?? 0);
    if ((ageMs <= limits.maxAgeMs && bytes <= limits.maxBytes) || isActive(execution)) continue;
    for (const name of names) await rm(join(dir, name), { recursive: true, force: true });
    removed++;
  }
  return removed;
}

/** Sweeps now, and then every so often, in the background; the returned function ends that. */
export function keepLogsSmall(
  deps: SweepDeps & { readonly clock: Clock; readonly log: Log },
  dir: string,
  limits: RetentionLimits,
  isActive: (execution: string) => boolean,
): () => void {
  let closed = false;
  let cancel = () => {};
  const sweep = async () => {
    await sweepLogs(deps, dir, limits, isActive).catch((thrown: unknown) =>
      deps.log.warn({ dir, error: asError(thrown).message }, "cannot sweep old logs"),
    );
    if (!closed) cancel = deps.clock.after(SWEEP_EVERY_MS, () => void sweep());
  };
  void sweep();
  return () => {
    closed = true;
    cancel();
  };
}

/** Masks and makes compact what the end of an attempt has left undone; what cannot be done is tried again with the next sweep. */
async function finishAfterCrash(deps: SweepDeps, path: string, names: readonly string[], attempt: string): Promise<void> {
  const has = (end: string) => names.includes(`${attempt}${end}`);
  try {
    const copy = has(".log.tmp") ? await lstat(`${path}.log.tmp`) : undefined;
    if (copy !== undefined && deps.clock.now() - copy.mtimeMs < STALE_MS) return;
    if (copy !== undefined) await rm(`${path}.log.tmp`);
    if (has(".log") && (has(".cut") || has(".secrets"))) await finishLog(`${path}.log`, deps.maskerOf(path));
    if (has(".secrets")) await rm(`${path}.secrets`);
  } catch {}
}

/** The names by attempt (`<execution>-<attempt>`): its log, result, folder and what describes them. */
function newestFirst(names: readonly string[]): [attempt: string, names: string[]][] {
  const byAttempt = new Map<string, string[]>();
  for (const name of names) {
    const attempt = /^[0-9A-HJKMNP-TV-Z]{26}-\d+/.exec(name)?.[0];
    if (attempt === undefined) continue;
    const others = byAttempt.get(attempt);
    if (others === undefined) byAttempt.set(attempt, [name]);
    else others.push(name);
  }
  return [...byAttempt].sort(([a], [b]) => (a < b ? 1 : -1));
}

/** What a file takes, or all that is in a folder; a hole in a file takes nothing. */
async function diskBytes(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) return (found?.blocks ?? 0) * 512;
  let bytes = 0;
  for (const name of await readdir(path).catch(() => []))
    bytes += ((await lstat(join(path, name)).catch(() => undefined))?.blocks ?? 0) * 512;
  return bytes;
}
