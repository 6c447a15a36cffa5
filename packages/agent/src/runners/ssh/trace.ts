/** What is kept of a session while it runs, so that another process can go on with it: per host, whether it was begun, how far its output came, how it ended. */
import type { Outcome } from "fleetcron-shared/model/record";
import type { HostEnd } from "../runner.ts";

export type HostTrace = { readonly type: "begun"; readonly offset: number } | { readonly type: "ended"; readonly end: HostEnd };

export type Trace = ReadonlyMap<string, HostTrace>;

type Stored = {
  readonly v: 1;
  readonly hosts: Readonly<Record<string, readonly [offset: number] | readonly [Outcome, startedAtMs: number, durationMs: number]>>;
};

export function traceText(trace: Trace): string {
  const hosts = Object.fromEntries(
    [...trace].map(([host, state]) => [
      host,
      state.type === "begun" ? [state.offset] : [state.end.outcome, state.end.startedAtMs, state.end.durationMs],
    ]),
  );
  return JSON.stringify({ v: 1, hosts });
}

/** Undefined: not of this form, so that nobody knows what was begun. */
export function parseTrace(text: string): Trace | undefined {
  try {
    const { v, hosts } = JSON.parse(text) as Stored;
    if (v !== 1) return undefined;
    return new Map(
      Object.entries(hosts).map(([host, state]): [string, HostTrace] => {
        if (state.length === 1) return [host, { type: "begun", offset: state[0] }];
        const [outcome, startedAtMs, durationMs] = state;
        return [host, { type: "ended", end: { host, outcome, startedAtMs, durationMs } }];
      }),
    );
  } catch {
    return undefined;
  }
}
