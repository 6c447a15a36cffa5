/** The logs and folders of executions on disk: swept at start and every hour, so that logs kept beyond their record do not grow without bound. */
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import { idTimeMs } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";

const SWEEP_EVERY_MS = 3_600_000;

export type ExecDirLimits = { readonly maxAgeMs: number; readonly maxBytes: number };

/** Removes what ended executions left if it is too old, or the oldest while all together are too big. Returns how many it removed. */
export async function sweepExecDir(
  deps: { clock: Pick<Clock, "now"> },
  dir: string,
  limits: ExecDirLimits,
  isActive: (execution: string) => boolean,
): Promise<number> {
  const names = (await readdir(dir)).sort().reverse();
  let bytes = 0;
  let removed = 0;
  for (const name of names) {
    if (isActive(name.slice(0, name.lastIndexOf("-")))) continue;
    bytes += await sizeOf(join(dir, name));
    const ageMs = deps.clock.now() - (idTimeMs(name) ?? 0);
    if (ageMs <= limits.maxAgeMs && bytes <= limits.maxBytes) continue;
    await rm(join(dir, name), { recursive: true, force: true });
    removed++;
  }
  return removed;
}

/** Makes the folder and sweeps it now and then; the returned function ends that. */
export async function keepExecDirSmall(
  deps: { clock: Clock; log: Log },
  dir: string,
  limits: ExecDirLimits,
  isActive: (execution: string) => boolean,
): Promise<() => void> {
  await mkdir(dir, { recursive: true });
  let cancel = () => {};
  const sweep = () => {
    sweepExecDir(deps, dir, limits, isActive)
      .catch((thrown: unknown) => deps.log.warn({ dir, error: asError(thrown).message }, "cannot sweep old logs"))
      .finally(() => {
        cancel = deps.clock.after(SWEEP_EVERY_MS, sweep);
      });
  };
  cancel = deps.clock.after(SWEEP_EVERY_MS, sweep);
  await sweepExecDir(deps, dir, limits, isActive);
  return () => cancel();
}

/** Of a log, or of all that is in a folder. */
async function sizeOf(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) return found?.size ?? 0;
  let bytes = 0;
  for (const name of await readdir(path).catch(() => [])) bytes += (await lstat(join(path, name)).catch(() => undefined))?.size ?? 0;
  return bytes;
}
