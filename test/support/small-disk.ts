/** A small file system of its own (tmpfs), unmounted at the end of the scope. Needs root and the right to mount. */
import { execFileSync } from "node:child_process";
import { appendFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { tempFolder } from "./processes.ts";

export type SmallDisk = Disposable & {
  readonly path: string;
  freeBytes(): number;
  /** Fills it but for so many bytes; again: with another rest. */
  fill(restBytes: number): void;
  empty(): void;
};

/** Undefined where mounting is not permitted: the test has said so, has passed, and has nothing more to do. */
export function smallDisk(t: ExecutionContext, bytes: number): SmallDisk | undefined {
  const folder = tempFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=0755`, "tmpfs", folder.path], { stdio: "ignore" });
  } catch {
    folder[Symbol.dispose]();
    t.log("not checked: file systems may not be mounted here");
    t.pass();
    return undefined;
  }
  const filler = join(folder.path, "filler");
  const freeBytes = () => ((fs) => fs.bavail * fs.bsize)(statfsSync(folder.path));
  return {
    path: folder.path,
    freeBytes,
    fill(restBytes) {
      rmSync(filler, { force: true });
      const block = Buffer.alloc(4096);
      try {
        while (freeBytes() > restBytes) appendFileSync(filler, block);
      } catch (thrown) {
        // Others write there too.
        if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
      }
    },
    empty: () => rmSync(filler, { force: true }),
    [Symbol.dispose]() {
      execFileSync("umount", ["-l", folder.path]);
      folder[Symbol.dispose]();
    },
  };
}
