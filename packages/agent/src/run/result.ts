/**
 * The result file of an attempt, `<execution>-<attempt>.result`: made for another user when the job runs as one, read when the process has ended, dropped when
 * the record is safe. The command owns its content and may have put anything in its place, so nothing but a plain file is read, and never more than the limit.
 * Etcd away: nothing here asks it.
 */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Job } from "fleetcron-shared/model/job";
import { type ExecutionResult, RESULT_LIMITS } from "fleetcron-shared/model/result";
import { type Mask, parseResult } from "fleetcron-shared/model/result-text";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Puts an empty file there that belongs to `ids`, who could make none in the agent's folder. Throws what the system says. */
export function prepareResult(path: string, ids: { readonly uid: number; readonly gid: number }): void {
  dropResult(path);
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    fchmodSync(fd, 0o600);
    fchownSync(fd, ids.uid, ids.gid);
  } finally {
    closeSync(fd);
  }
}

/**
 * What the process has left at `path`; undefined when that is nothing, which costs one failed open. Never throws and never waits. The file stays, so that an
 * agent that dies before the record is in its journal finds it again: `dropResult` after that. `mask` takes secrets out of every text.
 */
export function takeResult(
  deps: { readonly log: Log; readonly mask?: Mask | undefined },
  path: string,
  job: Pick<Job, "resultFrom">,
): ExecutionResult | undefined {
  try {
    const read = readEnd(path, job.resultFrom === "stderr" ? "tail" : "head");
    if (read === undefined) return undefined;
    if (typeof read === "string") return { problems: [read] };
    return parseResult(read.bytes, job.resultFrom, read.totalBytes, deps.mask);
  } catch (thrown) {
    deps.log.warn({ path, error: asError(thrown).message }, "cannot read an execution's result");
    return { problems: [`the result cannot be read: ${codeOf(thrown)}`] };
  }
}

/** Removes whatever is at `path`. Never throws: what cannot be removed now goes with the old logs. */
export function dropResult(path: string): void {
  try {
    rmSync(path, { force: true, recursive: true });
  } catch {
    // A folder that somebody fills while it is removed.
  }
}

/** The first or last bytes up to the limit; undefined when there is no file, words when it is not one. */
function readEnd(path: string, end: "head" | "tail"): { bytes: Uint8Array; totalBytes: number } | string | undefined {
  let fd: number;
  try {
    // Not blocking: a FIFO without a writer opens at once.
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP" || code === "ENXIO") return "there is something else than a plain file where the result should be";
    throw thrown;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return "there is something else than a plain file where the result should be";
    if (stat.size === 0) return undefined;
    const from = end === "head" ? 0 : Math.max(0, stat.size - RESULT_LIMITS.readBytes);
    const buffer = Buffer.alloc(Math.min(stat.size, RESULT_LIMITS.readBytes));
    let length = 0;
    while (length < buffer.length) {
      const count = readSync(fd, buffer, length, buffer.length - length, from + length);
      if (count === 0) break;
      length += count;
    }
    return { bytes: buffer.subarray(0, length), totalBytes: stat.size };
  } finally {
    closeSync(fd);
  }
}

function codeOf(thrown: unknown): string {
  return (thrown as NodeJS.ErrnoException).code ?? asError(thrown).message;
}
