/**
 * Follows a list of objects: a list, then its changes from that revision on. Watches end all the time (the server ends them, streams are cut, the revision
 * becomes too old): they are begun again where they ended, with a new list only when the server has forgotten the revision. When the API is away it waits.
 */

import type { Api } from "./api.ts";
import { ApiFailure } from "./api-failure.ts";
import { isTransient } from "./failed.ts";
import type { KubeObject } from "./objects.ts";
import { pause, type RetryDeps } from "./retry.ts";

export type Selection = { readonly path: string; readonly labelSelector?: string; readonly fieldSelector?: string };

export type Sink<T> = {
  /** All there is. */
  replace(items: readonly T[]): void;
  upsert(item: T): void;
  /** Its last state. */
  remove(item: T): void;
};

type List<T> = { readonly metadata?: { readonly resourceVersion?: string }; readonly items?: readonly T[] };
type WatchEvent = { readonly type: string; readonly object: KubeObject & { readonly code?: number; readonly message?: string } };

const LIVED_MS = 10_000;
/** Thrown by a watch whose revision the server no longer has. */
const EXPIRED = Symbol("expired");

/** Runs until `signal` aborts; throws the ApiFailure when the server refuses the list itself. */
export async function reflect<T extends KubeObject>(
  deps: RetryDeps & { readonly api: Api },
  selection: Selection,
  sink: Sink<T>,
  signal: AbortSignal,
): Promise<void> {
  const { api, clock, timing } = deps;
  const { path, ...selectors } = selection;
  let version: string | undefined;
  let failures = 0;
  let answered = clock.mono();
  let began = answered;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const list: List<T> = await api.call({ method: "GET", path, query: selectors }, signal);
        sink.replace(list.items ?? []);
        version = list.metadata?.resourceVersion ?? "";
        answered = clock.mono();
      }
      began = clock.mono();
      for await (const event of watch(deps, path, { ...selectors, resourceVersion: version }, signal)) {
        version = event.object.metadata?.resourceVersion ?? version;
        failures = 0;
        answered = clock.mono();
        if (event.type === "DELETED") sink.remove(event.object as T);
        else if (event.type !== "BOOKMARK") sink.upsert(event.object as T);
      }
      failures = nextFailure(clock.mono() - began, failures);
      await pause(deps, failures, undefined, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      failures = nextFailure(clock.mono() - began, failures);
      if (thrown === EXPIRED) version = undefined;
      else if (!(thrown instanceof ApiFailure)) throw thrown;
      else if (version !== undefined && thrown.status === 403) {
        // It may list but not watch.
        version = undefined;
        await clock.sleep(timing.pollMs, signal);
        continue;
      } else if (!mayHeal(thrown, clock.mono() - answered < timing.refusedMs)) throw thrown;
      await pause(deps, failures, thrown instanceof ApiFailure ? thrown : undefined, signal);
    }
  }
}

/** A stream that has lived for a while was no failure, even if nothing came: the next one may be begun soon. */
export function nextFailure(livedMs: number, failures: number): number {
  return livedMs > LIVED_MS ? 1 : failures + 1;
}

function mayHeal(failure: ApiFailure, recent: boolean): boolean {
  return isTransient(failure) || (recent && (failure.status === 401 || failure.kind === "credentials"));
}

async function* watch(
  deps: RetryDeps & { readonly api: Api },
  path: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncIterable<WatchEvent> {
  const timeoutSeconds = 240 + Math.floor(deps.random.next() * 60);
  const call = { method: "GET", path, query: { ...query, watch: true, allowWatchBookmarks: true, timeoutSeconds } } as const;
  try {
    for await (const line of linesOf(deps.api.stream(call, deps.timing.watchIdleMs, signal))) {
      const event = parse(line);
      if (event === undefined) continue;
      if (event.type !== "ERROR") yield event;
      else if (event.object.code === 410) throw EXPIRED;
      else throw new ApiFailure("network", `the watch ended: ${event.object.message ?? "without a reason"}`);
    }
  } catch (thrown) {
    if (thrown instanceof ApiFailure && thrown.status === 410) throw EXPIRED;
    throw thrown;
  }
}

/** Whole lines only: half a line at the end of a cut stream is no event. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

function parse(line: string): WatchEvent | undefined {
  if (line.trim() === "") return undefined;
  try {
    return JSON.parse(line) as WatchEvent;
  } catch {
    throw new ApiFailure("network", "the watch sent something that is not JSON");
  }
}
