/**
 * What was cut out of a log, in a small file beside it (`….cut` beside `….log`), so that everybody who reads the log finds each byte by the
 * offset at which the process wrote it, whoever cut, and whoever is alive. Only Node built-ins: the spawner uses it too. Knows nothing of etcd.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

/**
 * The bytes [head, head + cut) of the log are gone; `filled` bytes of the file stand in their place (`cut` where there is a hole in a sparse file, 0 where the
 * file was truncated). `compact`: the file of that inode number holds a line of `filled` bytes there instead.
 */
export type LogCut = {
  readonly head: number;
  readonly cut: number;
  readonly filled: number;
  readonly compact?: { readonly ino: number; readonly filled: number };
};

/** How the file with this inode number is laid out. */
export function layoutOf(cut: LogCut, ino: number): { readonly head: number; readonly cut: number; readonly filled: number } {
  return cut.compact?.ino === ino ? { head: cut.head, cut: cut.cut, filled: cut.compact.filled } : cut;
}

/** What was cut out of the log at `path`; undefined when it is whole. */
export function readCut(path: string): LogCut | undefined {
  try {
    return JSON.parse(readFileSync(cutPath(path), "utf8")) as LogCut;
  } catch {
    return undefined;
  }
}

/** Written whole or not at all. */
export function writeCut(path: string, cut: LogCut): void {
  const target = cutPath(path);
  writeFileSync(`${target}.tmp`, JSON.stringify(cut));
  renameSync(`${target}.tmp`, target);
}

export function removeCut(path: string): void {
  rmSync(cutPath(path), { force: true });
}

function cutPath(path: string): string {
  return path.replace(/\.log$/, ".cut");
}
