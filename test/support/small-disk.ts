/** A small file system of its own (tmpfs), unmounted at the end of the scope. Needs root and the right to mount. */
import { execFileSync } from "node:child_process";
import { appendFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { tempFolder } from "./processes.ts";

/** A file system of which nothing but `filler` matters here. */
export type FilledDisk = {
  readonly path: string;
  freeBytes(): number;
  /** Fills it but for so many bytes; again: with another rest. */
  fill(restBytes: number): void;
  empty(): void;
};

export type SmallDisk = Disposable & FilledDisk;

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
  return {
    ...filledDisk(folder.path),
    [Symbol.dispose]() {
      execFileSync("umount", ["-l", folder.path]);
      folder[Symbol.dispose]();
    },
  };
}

/** The file system that is mounted at `path`, with a file that fills it. */
export function filledDisk(path: string): FilledDisk {
  const filler = join(path, "filler");
  const freeBytes = () => ((fs) => fs.bavail * fs.bsize)(statfsSync(path));
  return {
    path,
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
  };
}
