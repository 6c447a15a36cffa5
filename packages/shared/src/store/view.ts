/**
 * A mirror that holds the decoded values of its prefix: what everybody reads who needs more than a stream of changes.
 * Values for which `decode` returns undefined count as absent; so do those for which it throws, which is logged. When etcd is away the last known values stay.
 */
import { asError } from "../base/errors.ts";
import type { KeyValue, Revision } from "./kv.ts";
import { type Mirror, type MirrorDeps, type MirrorEvent, type MirrorOptions, openMirror } from "./mirror.ts";

/** `value` undefined: the key is gone (or no longer readable). `previous` undefined: it was not there before. */
export type ViewChange<T> = { readonly key: string; readonly value: T | undefined; readonly previous: T | undefined };

export type ViewOptions<T> = Pick<MirrorOptions, "prefix" | "resyncMs" | "onSynced"> & { decode(kv: KeyValue): T | undefined };

export type View<T> = Mirror & {
  get(key: string): T | undefined;
  entries(): IterableIterator<[key: string, value: T]>;
  readonly size: number;
  /** Calls `fn` synchronously with each batch of changes, after they have been applied; the returned function ends that. */
  onChange(fn: (changes: readonly ViewChange<T>[], revision: Revision) => void): () => void;
};

export function openView<T>(deps: MirrorDeps, options: ViewOptions<T>): View<T> {
  const log = deps.log.child({ prefix: options.prefix });
  const values = new Map<string, T>();
  const listeners = new Set<(changes: readonly ViewChange<T>[], revision: Revision) => void>();

  function decode(kv: KeyValue): T | undefined {
    try {
      return options.decode(kv);
    } catch (error) {
      log.warn({ key: kv.key, err: asError(error) }, "unreadable value ignored");
      return undefined;
    }
  }

  function apply(event: MirrorEvent): ViewChange<T> | undefined {
    const key = event.type === "put" ? event.kv.key : event.key;
    const previous = values.get(key);
    const value = event.type === "put" ? decode(event.kv) : undefined;
    if (value === undefined) values.delete(key);
    else values.set(key, value);
    return value === undefined && previous === undefined ? undefined : { key, value, previous };
  }

  function onEvents(events: readonly MirrorEvent[], revision: Revision): void {
    const changes = events.map(apply).filter((change) => change !== undefined);
    if (changes.length === 0) return;
    for (const listener of listeners) {
      try {
        listener(changes, revision);
      } catch (error) {
        log.error({ err: asError(error) }, "view listener failed");
      }
    }
  }

  const mirror = openMirror(deps, { prefix: options.prefix, resyncMs: options.resyncMs, onSynced: options.onSynced, onEvents });
  return {
    ...mirror,
    get: (key) => values.get(key),
    entries: () => values.entries(),
    get size() {
      return values.size;
    },
    onChange(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
}
