/**
 * Keeps the log of a running process near its size limit, head and tail, while the process writes to it by itself (O_APPEND): the middle is
 * punched out of the sparse file, which the writer does not notice. Where the file system cannot do that, the file is truncated to its head, at
 * the price of the tail written so far. One step for one log, called about once a second from the process that outlives the agent, so: only
 * Node built-ins. Knows nothing of etcd.
 */
import { closeSync, ftruncateSync, openSync, statSync } from "node:fs";
import { type LogCut, readCut, removeCut, writeCut } from "./log-cut.ts";

export type CapDeps = {
  /** Frees [offset, offset + length) of an open file without moving what follows; throws an Error with `code`. */
  punchHole(fd: number, offset: number, length: number): void;
};
export type CapLimits = { readonly headBytes: number; readonly tailBytes: number };
/** What the last step knows; the first one has none. */
export type CapState = { readonly cut: LogCut | undefined };

const BLOCK = 4096;

/** A quarter of what may be kept is head, the rest tail: the end is what people look for. */
export function capLimits(maxBytes: number): CapLimits {
  const headBytes = Math.floor(maxBytes / 4);
  return { headBytes, tailBytes: maxBytes - headBytes };
}

/** Cuts the middle out of the log at `path` if it has outgrown its limits by a sixteenth. Returns the state for the next step. */
export function capLog(deps: CapDeps, path: string, options: CapLimits & { readonly state?: CapState | undefined }): CapState {
  const { headBytes, tailBytes } = options;
  const size = sizeOf(path);
  const known = options.state === undefined ? readCut(path) : options.state.cut;
  if (size === undefined) return { cut: known };
  const isHole = known !== undefined && known.filled > 0;
  if (isHole && size < known.head + known.cut) {
    // The process has truncated its own output: what is there now is all there is.
    removeCut(path);
    return { cut: undefined };
  }
  const keeps = headBytes + tailBytes + Math.max(BLOCK, Math.floor((headBytes + tailBytes) / 16));
  if (size - (known?.filled ?? 0) <= keeps) return { cut: known };
  const fd = openSync(path, "r+");
  try {
    return { cut: known !== undefined && !isHole ? truncate(fd, path, known, size) : punch(deps, fd, path, known, size, options) };
  } finally {
    closeSync(fd);
  }
}

function punch(deps: CapDeps, fd: number, path: string, known: LogCut | undefined, size: number, limits: CapLimits): LogCut {
  const head = known?.head ?? limits.headBytes;
  const end = size - limits.tailBytes;
  const from = known === undefined ? head : Math.max(head, Math.floor((head + known.cut) / BLOCK) * BLOCK);
  const cut = { head, cut: end - head, filled: end - head };
  // Said before it is done, so that no reader takes the hole's zeros for output; a full disk may refuse that until the hole has made room.
  const said = tryWrite(path, cut);
  try {
    deps.punchHole(fd, from, end - from);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code !== "EOPNOTSUPP" && code !== "ENOTSUP" && code !== "ENOSYS") throw thrown;
    return truncate(fd, path, known ?? { head, cut: 0, filled: 0 }, size);
  }
  if (!said) tryWrite(path, cut);
  return cut;
}

/** Everything behind the head goes; the writer goes on there. */
function truncate(fd: number, path: string, known: LogCut, size: number): LogCut {
  const cut = { head: known.head, cut: known.cut - known.filled + size - known.head, filled: 0 };
  tryWrite(path, cut);
  ftruncateSync(fd, known.head);
  return cut;
}

function tryWrite(path: string, cut: LogCut): boolean {
  try {
    writeCut(path, cut);
    return true;
  } catch {
    return false;
  }
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
