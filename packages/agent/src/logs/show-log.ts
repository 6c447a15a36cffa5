/**
 * Carries out one log order: reads the log of an attempt, a part of it or as it grows, and after it those of the next attempts, until the
 * execution has ended. Secrets are masked, also where a chunk's end would split them. A reader who is outrun by the writer is told how much was left out.
 */
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import type { LogChunk, LogOrder } from "fleetcron-shared/model/facts";
import { CHUNK_BYTES, packBytes } from "fleetcron-shared/wire/log-chunk";
import { findLine } from "fleetcron-shared/wire/log-find";
import type { Budget, ChunkWriter } from "./chunk-writer.ts";
import { readMasked } from "./masked-read.ts";
import type { Masker } from "./masker.ts";
import { afterLines, type LogReader, openLogReader, startOfTail } from "./reader.ts";

/** A followed log is looked at so often. */
const POLL_MS = 100;
/** A reader who is so many seconds of the budget behind a growing log is taken to its end. */
const LAG_SECONDS = 4;

export type ShowDeps = {
  readonly clock: Clock;
  readonly budget: Pick<Budget, "perSecond">;
  readonly execDir: string;
  /** An execution of this node that has not ended; what comes back goes on telling where it is, also when it has ended. */
  activeOf(execution: string): ActiveAttempt | undefined;
  /** What to hide in the log of the attempt at this path (without `.log`). */
  maskerOf(attemptPath: string): Masker | undefined;
};

/** `waiting`: between two attempts, `attempt` being the first of them. */
export type ActiveAttempt = { readonly attempt: number; readonly state: "claimed" | "running" | "waiting" | "ended" };

type Showing = {
  readonly deps: ShowDeps;
  readonly order: LogOrder;
  readonly put: ChunkWriter;
  readonly signal: AbortSignal;
  readonly active: ActiveAttempt | undefined;
};
type Mark = Pick<LogChunk, "gone" | "end" | "skipped">;

/** Resolves when all is shown, or nobody wants it any more. */
export async function showLog(deps: ShowDeps, order: LogOrder, put: ChunkWriter, signal: AbortSignal): Promise<void> {
  const active = deps.activeOf(order.execution);
  if (order.find !== undefined)
    return tellWhere(deps, { ...order, find: order.find, attempt: order.attempt ?? active?.attempt ?? 1 }, put, signal);
  const showing: Showing = { deps, order, put, signal, active };
  const first = order.attempt ?? (active === undefined ? 1 : active.attempt + (active.state === "waiting" && order.follow ? 1 : 0));
  for (let attempt = first; ; attempt++) {
    const shown = await showAttempt(showing, attempt, attempt === first);
    if (shown === undefined || signal.aborted) return;
    const isOver = active === undefined || (active.state === "ended" && active.attempt <= attempt);
    const end = !order.follow ? "part" : order.single === true ? "ended" : !isOver ? undefined : active === undefined ? "part" : "ended";
    if (end !== undefined) return void (await mark(showing, attempt, shown, { end, ...(shown.gone ? { gone: true } : {}) }));
    if (shown.gone && !(await mark(showing, attempt, shown, { gone: true }))) return;
  }
}

type Shown = { readonly at: number; readonly size: number; readonly gone?: boolean };

/** Undefined when nobody wants it any more. */
async function showAttempt(showing: Showing, attempt: number, isFirst: boolean): Promise<Shown | undefined> {
  const { deps, order, signal } = showing;
  const path = join(deps.execDir, `${order.execution}-${attempt}`);
  for (let looks = 0; ; looks++) {
    const on = order.follow && isOn(showing.active, attempt);
    await using log = await openLogReader(`${path}.log`);
    if (log !== undefined) return await showFile(showing, log, deps.maskerOf(path), attempt, isFirst);
    // One that has not begun to write has an empty log.
    if (!on) return { at: 0, size: 0, ...(isOn(showing.active, attempt) ? {} : { gone: true }) };
    // Whoever waits is told at once that somebody is there.
    if (looks === 0 && isFirst && !(await mark(showing, attempt, { at: 0, size: 0 }, {}))) return undefined;
    if (signal.aborted) return undefined;
    await deps.clock.sleep(POLL_MS, signal);
  }
}

async function showFile(
  showing: Showing,
  log: LogReader,
  masker: Masker | undefined,
  attempt: number,
  isFirst: boolean,
): Promise<Shown | undefined> {
  const { deps, order, signal } = showing;
  const sizeAtFirst = await log.size();
  let at = !isFirst ? 0 : order.tail !== undefined ? await startOfTail(log, sizeAtFirst, order.tail) : (order.from ?? 0);
  let bytesLeft = order.bytes ?? Number.POSITIVE_INFINITY;
  let linesLeft = order.head ?? Number.POSITIVE_INFINITY;
  let hasBegun = false;
  if (order.follow && isFirst && !(await mark(showing, attempt, { at, size: sizeAtFirst }, {}))) return undefined;
  while (!signal.aborted) {
    const live = isOn(showing.active, attempt);
    const on = order.follow && live;
    const size = order.follow ? await log.size() : sizeAtFirst;
    if (bytesLeft <= 0 || linesLeft <= 0) return { at, size };
    const lag = size - Math.max(at, sizeAtFirst);
    if (on && lag > LAG_SECONDS * deps.budget.perSecond) {
      const next = await lineStart(log, size - Math.min(deps.budget.perSecond, CHUNK_BYTES));
      if (!(await mark(showing, attempt, { at: next, size }, { skipped: { bytes: next - at, why: "fast" } }))) return undefined;
      at = next;
    }
    const piece = await readMasked(masker, log, at, Math.min(CHUNK_BYTES, bytesLeft, Math.max(0, size - at)), live);
    const cut = piece.from - at;
    // An answer is one piece without a gap: the next request begins behind the cut.
    if (cut > 0 && hasBegun && !order.follow) return { at, size };
    const lines = linesLeft === Number.POSITIVE_INFINITY ? { lines: 0 } : afterLines(piece.bytes, linesLeft);
    const bytes = "end" in lines ? piece.bytes.subarray(0, lines.end) : piece.bytes;
    linesLeft = "end" in lines ? 0 : linesLeft - lines.lines;
    if (bytes.length > 0 || cut > 0) {
      const to = piece.from + bytes.length;
      const skipped = cut > 0 ? { skipped: { bytes: cut, why: "cut" as const } } : {};
      if (!(await showing.put({ attempt, from: piece.from, to, ...skipped, ...packBytes(bytes), size: Math.max(size, to) })))
        return undefined;
      at = to;
      bytesLeft -= bytes.length;
      hasBegun = true;
    } else if (!on) return { at, size };
    else {
      // A process may empty its own output.
      at = Math.min(at, size);
      await deps.clock.sleep(POLL_MS, signal);
    }
  }
  return undefined;
}

/** The beginning of a line at or shortly after `offset`. */
async function lineStart(log: LogReader, offset: number): Promise<number> {
  const { from, bytes } = await log.read(offset, CHUNK_BYTES / 4);
  const found = afterLines(bytes, 1);
  return "end" in found ? from + found.end : from;
}

function mark({ put }: Showing, attempt: number, shown: Shown, marks: Mark): Promise<boolean> {
  return put({ attempt, from: shown.at, to: shown.at, size: shown.size, ...marks });
}

/** Answers an order to find a line. */
async function tellWhere(
  deps: ShowDeps,
  order: LogOrder & { readonly attempt: number; readonly find: NonNullable<LogOrder["find"]> },
  put: ChunkWriter,
  signal: AbortSignal,
): Promise<void> {
  const { attempt, from = 0, find } = order;
  const on = isOn(deps.activeOf(order.execution), attempt);
  const path = join(deps.execDir, `${order.execution}-${attempt}`);
  await using log = await openLogReader(`${path}.log`);
  const size = (await log?.size()) ?? 0;
  if (log === undefined)
    return void (await put({ attempt, from: 0, to: 0, size, ...(on ? { found: false } : { gone: true }), end: "part" }));
  // A gigabyte takes seconds: whoever waits is told at once that somebody is there.
  if (!(await put({ attempt, from: 0, to: 0, size }))) return;
  const masker = deps.maskerOf(path);
  const source = { size, read: (offset: number, length: number) => readMasked(masker, log, offset, length, on) };
  const at = await findLine(source, { ...find, from }, signal);
  if (!signal.aborted) await put({ attempt, from: at ?? size, to: at ?? size, size, found: at !== undefined, end: "part" });
}

/** Whether the attempt may still write. */
function isOn(active: ActiveAttempt | undefined, attempt: number): boolean {
  if (active === undefined || active.state === "ended") return false;
  return active.attempt < attempt || (active.attempt === attempt && active.state !== "waiting");
}
