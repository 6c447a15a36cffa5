/**
 * What the log viewer looks at: a window of the log that moves on demand, follows the end while the process writes, and asks for lines beyond what is loaded. The log
 * itself may have a gigabyte; never more than a few megabytes of it are here.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import { fetchLogBytes, followLogBytes, searchLog } from "../../src/client/log-bytes.ts";
import { type ProblemView, problemView } from "../../src/client/problem.ts";
import type { Rest } from "../../src/client/rest.ts";
import type { WebClock } from "../base/clock.ts";
import { appended, emptyWindow, type LogWindow, openedAt, prepended } from "./log-window.ts";

export type LogView = {
  readonly window: ReadonlySignal<LogWindow>;
  /** Of the whole log, as far as it was heard of. */
  readonly size: ReadonlySignal<number>;
  readonly state: ReadonlySignal<"loading" | "ready" | "following" | "away">;
  readonly problem: ReadonlySignal<ProblemView | undefined>;
  /** The process has ended, and all that it wrote is there. */
  readonly hasEnded: ReadonlySignal<boolean>;
  older(): Promise<boolean>;
  newer(): Promise<boolean>;
  jump(offset: number): Promise<void>;
  toEnd(): Promise<void>;
  follow(): void;
  /** Asks the node for the next line with a text from an offset on (or before it), without moving the window. */
  search(wish: { text: string; from: number; direction: "down" | "up" }, signal: AbortSignal): ReturnType<typeof searchLog>;
  stop(): void;
};

const RANGE = 512 * 1024;
const TAIL_LINES = 2000;
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const SHOW_MS = 60;

export function createLogView(
  deps: { rest: Rest; clock: WebClock },
  of: { execution: string; job: string | undefined; attempt: number | undefined },
): LogView {
  const window = signal<LogWindow>(emptyWindow());
  const size = signal(0);
  const state = signal<"loading" | "ready" | "following" | "away">("loading");
  const problem = signal<ProblemView | undefined>(undefined);
  const hasEnded = signal(false);
  const stopped = new AbortController();
  let following: AbortController | undefined;
  let moving: Promise<boolean> | undefined;
  const named = { ...(of.job === undefined ? {} : { job: of.job }), ...(of.attempt === undefined ? {} : { attempt: of.attempt }) };

  const read = async (query: { from?: number; tail?: number; bytes: number }) => {
    const part = await fetchLogBytes(deps.rest, of.execution, { ...named, ...query }, stopped.signal);
    size.value = Math.max(size.value, part.size);
    return part;
  };

  /** One move at a time: what scrolling asks for is dropped meanwhile, what a person asks for comes next. What fails is told, and the window stays. */
  async function move(work: () => Promise<LogWindow>, mayDrop = false): Promise<boolean> {
    while (moving !== undefined) {
      if (mayDrop) return false;
      await moving;
    }
    moving = run(work);
    return moving;
  }

  async function run(work: () => Promise<LogWindow>): Promise<boolean> {
    try {
      window.value = await work();
      problem.value = undefined;
      return true;
    } catch (thrown) {
      if (!stopped.signal.aborted) problem.value = problemView(thrown);
      return false;
    } finally {
      moving = undefined;
      if (state.value === "loading") state.value = "ready";
    }
  }

  async function followOn(own: AbortController): Promise<void> {
    let lastId: string | undefined;
    let pauseMs = PAUSE_MS;
    let pending: LogWindow | undefined;
    const show = () => {
      if (pending !== undefined && !own.signal.aborted) window.value = pending;
      pending = undefined;
    };
    while (!own.signal.aborted) {
      try {
        const from = window.value.end;
        const query = lastId !== undefined ? named : from > 0 ? { ...named, from } : { ...named, tail: TAIL_LINES };
        for await (const event of followLogBytes(deps.rest, of.execution, query, lastId, own.signal)) {
          pauseMs = PAUSE_MS;
          state.value = "following";
          problem.value = undefined;
          if (event.type === "begin" && lastId === undefined && from === 0 && event.from !== undefined)
            window.value = emptyWindow(event.from);
          if (event.type === "log" || event.type === "skipped") {
            lastId = event.id ?? lastId;
            const before = pending ?? window.value;
            if (pending === undefined) deps.clock.after(SHOW_MS, show);
            pending = appended(before.lines.length === 0 && before.rest.length === 0 ? emptyWindow(event.from ?? event.to ?? 0) : before, {
              offset: event.from ?? event.to ?? before.end,
              next: event.to ?? before.end,
              skipped: event.skipped ?? 0,
              bytes: event.bytes,
            });
            size.value = Math.max(size.value, event.size ?? 0, event.to ?? 0);
          }
          if (event.type === "end") {
            show();
            hasEnded.value = true;
            state.value = "ready";
            return;
          }
        }
      } catch (thrown) {
        if (own.signal.aborted) return;
        const view = problemView(thrown);
        state.value = "away";
        problem.value = view.code === "execution/not-found" ? undefined : view;
        // What is not kept will not come back.
        if (view.code === "log/not-kept") return;
      }
      await deps.clock.sleep(pauseMs, own.signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  /** What lies before the window was cut out of the log: goes back to what is kept before that. */
  async function acrossCut(held: LogWindow): Promise<LogWindow> {
    const cutBack = (to: number) => ({ ...held, start: to, lines: [{ offset: to, text: "", cut: held.start - to }, ...held.lines] });
    for (let span = 4 * RANGE; ; span *= 4) {
      const from = Math.max(0, held.start - span);
      let part = await read({ from, bytes: RANGE });
      if (part.offset >= held.start && from === 0) return cutBack(0);
      if (part.offset >= held.start) continue;
      for (;;) {
        const next = await read({ from: part.next, bytes: RANGE });
        if (next.skipped > 0 || next.bytes.length === 0) return prepended(cutBack(part.next), part);
        part = next;
      }
    }
  }

  function unfollow(): void {
    following?.abort();
    following = undefined;
    if (state.value === "following" || state.value === "away") state.value = "ready";
  }

  return {
    ...{ window, size, state, problem, hasEnded },
    older: () =>
      move(async () => {
        const held = window.value;
        if (held.start === 0) return held;
        const from = Math.max(0, held.start - RANGE);
        const part = await read({ from, bytes: held.start - from });
        if (part.offset >= held.start) return acrossCut(held);
        return prepended(held, { ...part, bytes: part.bytes.subarray(0, Math.max(0, held.start - part.offset)), next: held.start });
      }, true),
    newer: () =>
      move(async () => {
        const held = window.value;
        if (held.end >= size.value || following !== undefined) return held;
        return appended(held, await read({ from: held.end, bytes: RANGE }));
      }, true),
    async jump(offset) {
      unfollow();
      await move(async () => openedAt(await read({ from: Math.max(0, Math.min(offset, size.value)), bytes: RANGE })));
    },
    async toEnd() {
      await move(async () => openedAt(await read({ tail: TAIL_LINES, bytes: 2 * RANGE })));
    },
    follow() {
      unfollow();
      following = new AbortController();
      const own = following;
      stopped.signal.addEventListener("abort", () => own.abort(), { once: true });
      void followOn(own);
    },
    search: (wish, ended) => searchLog(deps.rest, of.execution, { ...named, ...wish }, AbortSignal.any([ended, stopped.signal])),
    stop() {
      unfollow();
      stopped.abort();
    },
  };
}
