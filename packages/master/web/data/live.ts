/**
 * The stream of live changes: connects, goes on behind the last event after a break, with growing pauses, and says how it stands. Where changes may have been
 * missed (`reset`, also the very first beginning) whoever holds lists lists them again.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { LiveEvent, LiveEvents } from "../../src/client/events.ts";
import { problemView } from "../../src/client/problem.ts";
import { randomShare, type WebClock } from "../base/clock.ts";

export type LiveState = "connecting" | "live" | "away";
export type Live = {
  readonly state: ReadonlySignal<LiveState>;
  /** Since when the master is away, and what was said of it. */
  readonly problem: ReadonlySignal<{ readonly sinceMs: number; readonly text: string } | undefined>;
  /** Ends it for good. */
  stop(): void;
};

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

export function startLive(
  deps: { clock: WebClock },
  options: {
    follow(lastId: string | undefined, signal: AbortSignal): LiveEvents;
    onChange(event: Exclude<LiveEvent, { start: unknown }>): void;
    onReset(): void;
    /** It does not come, or has broken off. */
    onAway(): void;
    /** The session is over: no use in trying on. */
    isOver(code: string): boolean;
    onOver(code: string): void;
  },
): Live {
  const state = signal<LiveState>("connecting");
  const problem = signal<{ sinceMs: number; text: string } | undefined>(undefined);
  const stopping = new AbortController();

  async function run(): Promise<void> {
    let lastId: string | undefined;
    let pauseMs = FIRST_PAUSE_MS;
    while (!stopping.signal.aborted) {
      try {
        for await (const event of options.follow(lastId, stopping.signal)) {
          pauseMs = FIRST_PAUSE_MS;
          if ("start" in event) {
            // A beginning without an id to go on from means that all of it is yet to be listed.
            const isNew = lastId === undefined || event.type === "reset";
            state.value = "live";
            problem.value = undefined;
            if (isNew) options.onReset();
          } else {
            options.onChange(event);
          }
          lastId = event.id ?? lastId;
        }
      } catch (thrown) {
        if (stopping.signal.aborted) return;
        const { code, message } = problemView(thrown);
        if (options.isOver(code)) return options.onOver(code);
        state.value = "away";
        problem.value = { sinceMs: problem.value?.sinceMs ?? deps.clock.now(), text: message };
        options.onAway();
      }
      await deps.clock.sleep(pauseMs * (0.5 + randomShare()), stopping.signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  void run();
  return { state, problem, stop: () => stopping.abort() };
}
