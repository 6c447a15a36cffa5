/**
 * Looks now and then how much room the data folder has. Below the limit this node starts nothing new: what runs needs the rest for its output,
 * and the journal for its records. Knows nothing of etcd.
 */
import { statfs } from "node:fs/promises";
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import { formatSize } from "fleetcron-shared/base/size";

const LOOK_EVERY_MS = 1000;

export type DiskGuard = {
  /** Why nothing new may begin, in words; undefined when there is room. */
  refusal(): string | undefined;
  close(): void;
};

/** Resolves after the first look. A folder that cannot be asked counts as roomy: the failure is logged, and starting says the rest. */
export async function openDiskGuard(
  deps: { clock: Pick<Clock, "after">; log: Log; freeBytes?: (dir: string) => Promise<number> },
  dir: string,
  minFreeBytes: number,
): Promise<DiskGuard> {
  const freeBytes = deps.freeBytes ?? freeBytesOf;
  let refusal: string | undefined;
  let failed = false;
  let closed = false;
  let cancel = () => {};

  async function look(): Promise<void> {
    try {
      const free = await freeBytes(dir);
      const was = refusal;
      refusal =
        free >= minFreeBytes ? undefined : `${dir} has ${roughly(free)} free, and ${formatSize(minFreeBytes)} must stay free (minFreeDisk)`;
      failed = false;
      if (was === undefined && refusal !== undefined)
        deps.log.warn({ dir, freeBytes: free, minFreeBytes }, "the disk is full: nothing new begins");
      if (was !== undefined && refusal === undefined) deps.log.info({ dir, freeBytes: free }, "there is room on the disk again");
    } catch (thrown) {
      if (!failed) deps.log.warn({ dir, error: asError(thrown).message }, "cannot tell how much room the disk has");
      failed = true;
    }
    if (!closed) cancel = deps.clock.after(LOOK_EVERY_MS, () => void look());
  }

  if (minFreeBytes > 0) await look();
  return {
    refusal: () => refusal,
    close: () => {
      closed = true;
      cancel();
    },
  };
}

async function freeBytesOf(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

function roughly(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.floor(bytes / 1024)}KiB` : `${Math.floor(bytes / 2 ** 20)}MiB`;
}
