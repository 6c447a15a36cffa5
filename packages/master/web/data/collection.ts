/**
 * One kind of thing, as the master has it: listed once, then kept up by its changes, and listed again when changes may have been missed. Changes that come
 * while a list is under way are applied on top of it. Nothing is asked for before somebody looks, and readers are woken at most a few times a second.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { WebClock } from "../base/clock.ts";

export type Collection<T> = {
  /** Of all items by key, newly made at each change. */
  readonly items: ReadonlySignal<ReadonlyMap<string, T>>;
  /** `partly`: there are items, and more are on their way. */
  readonly state: ReadonlySignal<"idle" | "loading" | "partly" | "ready">;
  readonly error: ReadonlySignal<unknown>;
  /** Sees to it that it is listed, now or already. */
  want(): void;
  /** Lists anew, when it was listed before. */
  renew(): void;
  /** A change: `undefined` removes. */
  change(key: string, update: (held: T | undefined) => T | undefined): void;
};

/** Readers are told of changes this often at most. */
const WAKE_MS = 100;

/** `ready`: changes are being followed, so that none falls between the list and the first of them. `list` hands over pages as they come. `keep`: what of too many items stays. */
export function createCollection<T>(
  deps: { clock: Pick<WebClock, "after">; ready: Promise<void> },
  options: {
    list(page: (items: readonly T[]) => void): Promise<void>;
    keyOf(item: T): string;
    keep?(items: Map<string, T>): void;
  },
): Collection<T> {
  const items = signal<ReadonlyMap<string, T>>(new Map());
  const state = signal<"idle" | "loading" | "partly" | "ready">("idle");
  const error = signal<unknown>(undefined);
  let held = new Map<string, T>();
  let isWaking = false;
  /** Counts lists: one that was overtaken by a newer one is dropped. */
  let turn = 0;
  let meanwhile: { key: string; update: (held: T | undefined) => T | undefined }[] | undefined;

  function wake(): void {
    if (isWaking) return;
    isWaking = true;
    deps.clock.after(WAKE_MS, () => {
      isWaking = false;
      show();
    });
  }

  function show(): void {
    options.keep?.(held);
    items.value = new Map(held);
  }

  function apply(map: Map<string, T>, key: string, update: (held: T | undefined) => T | undefined): void {
    const next = update(map.get(key));
    if (next === undefined) map.delete(key);
    else map.set(key, next);
  }

  async function load(): Promise<void> {
    const own = ++turn;
    const isFirst = state.value === "idle" || state.value === "loading";
    const fresh = new Map<string, T>();
    meanwhile = [];
    if (isFirst) state.value = "loading";
    try {
      await deps.ready;
      await options.list((page) => {
        if (own !== turn) return;
        for (const item of page) fresh.set(options.keyOf(item), item);
        if (!isFirst) return;
        held = new Map(fresh);
        show();
        state.value = "partly";
      });
      if (own !== turn) return;
      for (const { key, update } of meanwhile) apply(fresh, key, update);
      meanwhile = undefined;
      held = fresh;
      error.value = undefined;
      show();
      state.value = "ready";
    } catch (thrown) {
      if (own !== turn) return;
      meanwhile = undefined;
      error.value = thrown;
      if (state.value === "loading" || state.value === "partly") state.value = "idle";
    }
  }

  return {
    items,
    state,
    error,
    want() {
      if (state.value === "idle" && meanwhile === undefined && error.value === undefined) void load();
    },
    renew() {
      if (state.value === "idle" && error.value === undefined) return;
      error.value = undefined;
      void load();
    },
    change(key, update) {
      if (state.value === "idle") return;
      meanwhile?.push({ key, update });
      apply(held, key, update);
      wake();
    },
  };
}
