/** The requests as the engine sees them: by run, in the order in which they were made. */
import type { RunRequest } from "fleetcron-shared/model/pipeline/request";
import type { Revision } from "fleetcron-shared/store/kv";
import type { MirrorEvent } from "fleetcron-shared/store/mirror";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

export type WaitingRequest = { readonly key: string; readonly id: string; readonly revision: Revision; readonly request: RunRequest };

export type RequestQueue = {
  /** `touched` is called with the run of each new request. */
  follow(events: readonly MirrorEvent[], touched: (run: string) => void): void;
  of(run: string): readonly WaitingRequest[];
  done(key: string): void;
  readonly size: number;
};

export function createRequestQueue(keys: Keys): RequestQueue {
  const byKey = new Map<string, WaitingRequest>();
  const byRun = new Map<string, WaitingRequest[]>();

  function done(key: string): void {
    const held = byKey.get(key);
    if (held === undefined) return;
    byKey.delete(key);
    const left = (byRun.get(held.request.run) ?? []).filter((one) => one !== held);
    if (left.length === 0) byRun.delete(held.request.run);
    else byRun.set(held.request.run, left);
  }

  return {
    follow(events, touched) {
      for (const event of events) {
        done(event.type === "put" ? event.kv.key : event.key);
        if (event.type !== "put") continue;
        const { key, modRevision: revision, value } = event.kv;
        const request = tryDecode<RunRequest>(key, value);
        if (request === undefined) continue;
        const waiting: WaitingRequest = { key, id: keys.parts(key)[1] ?? "", revision, request };
        byKey.set(key, waiting);
        const others = byRun.get(request.run) ?? [];
        byRun.set(
          request.run,
          [...others, waiting].sort((a, b) => a.revision - b.revision),
        );
        touched(request.run);
      }
    },
    of: (run) => byRun.get(run) ?? [],
    done,
    get size() {
      return byKey.size;
    },
  };
}
