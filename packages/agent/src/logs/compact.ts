/**
 * After the end of a process whose log stays: secrets are overwritten in the file, and one that is beyond its limit, or has a hole, is made compact:
 * head, a line that says how much is missing, tail. Both can be repeated, so a crash in between costs nothing; with no room for the copy the
 * sparse file stays as it is, and reads the same. Knows nothing of etcd.
 */
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { CapLimits } from "./cap.ts";
import { layoutOf, readCut, writeCut } from "./log-cut.ts";
import type { Masker } from "./masker.ts";

const PIECE = 2 ** 20;

/** Less than this over the limit is not worth a copy. */
const SPARE = 4096;

/** Nobody writes to the log at `path` any more. Rejects with the system's error (ENOENT, ENOSPC …). */
export async function finishLog(path: string, masker: Masker | undefined, limits?: CapLimits): Promise<void> {
  if (masker !== undefined) await maskFile(path, masker);
  await compactLog(path, limits);
}

/** Cuts a log down to its limits, when they are given, and replaces one with a hole by a file without; does nothing for any other. */
export async function compactLog(path: string, limits?: CapLimits): Promise<void> {
  const known = readCut(path);
  const temporary = `${path}.tmp`;
  await using from = await open(path, "r");
  const { size, ino, mode } = await from.stat();
  if (known?.compact?.ino === ino) return;
  const before = known ?? { head: limits?.headBytes ?? 0, cut: 0, filled: 0 };
  const { head } = before;
  const tail = size - head - before.filled;
  const over = limits === undefined ? 0 : Math.max(0, tail - limits.tailBytes);
  if (known === undefined && over < SPARE) return;
  const cut = before.cut + over;
  const filled = before.filled + over;
  const mark = Buffer.from(`\n[fleetcron: ${cut} bytes were cut out here]\n`);
  const to = await openNew(temporary, mode & 0o777);
  if (to === undefined) return;
  try {
    await copy(from, to, 0, head, 0);
    await to.write(mark, 0, mark.length, head);
    await copy(from, to, head + filled, size, head + mark.length);
    writeCut(path, { head, cut, filled, compact: { ino: (await to.stat()).ino, filled: mark.length } });
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  } finally {
    await to.close();
  }
}

/** Undefined when there is such a file: somebody is at it already. */
async function openNew(path: string, mode: number): Promise<FileHandle | undefined> {
  try {
    return await open(path, "wx", mode);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw thrown;
  }
}

/** Overwrites every secret in the file; its size stays. */
export async function maskFile(path: string, masker: Masker): Promise<void> {
  const cut = readCut(path);
  await using file = await open(path, "r+");
  const { size, ino } = await file.stat();
  const hole = cut === undefined ? { head: size, filled: 0 } : layoutOf(cut, ino);
  await maskRange(file, masker, 0, Math.min(hole.head, size));
  await maskRange(file, masker, hole.head + hole.filled, size);
}

async function maskRange(file: FileHandle, masker: Masker, start: number, end: number): Promise<void> {
  const buffer = Buffer.alloc(PIECE + masker.longest - 1);
  for (let at = start; at < end; at += PIECE) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
    const piece = buffer.subarray(0, bytesRead);
    const masked = masker.mask(piece);
    if (!masked.equals(piece)) await file.write(masked, 0, masked.length, at);
  }
}

async function copy(from: FileHandle, to: FileHandle, start: number, end: number, target: number): Promise<void> {
  const buffer = Buffer.alloc(PIECE);
  for (let at = start; at < end; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(PIECE, end - at), at);
    if (bytesRead === 0) return;
    await to.write(buffer, 0, bytesRead, target + at - start);
    at += bytesRead;
  }
}
