/** One answer of the master that a page shows: asked for, and asked again when something it depends on has changed. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useApp } from "./context.ts";

export type Fetched<T> = {
  /** The newest answer; stays while a newer one is asked for. */
  readonly value: T | undefined;
  readonly error: unknown;
  readonly isLoading: boolean;
  again(): void;
};

/** So often at most is the same asked again because of changes. */
const AGAIN_MS = 1000;

/** `keys`: what it is of (a new value begins from nothing); `changes`: numbers or texts at whose change it is asked again. */
export function useFetched<T>(fetchIt: () => Promise<T>, keys: readonly unknown[], changes: readonly unknown[] = []): Fetched<T> {
  const { clock } = useApp();
  const [state, setState] = useState<{ of: string; value?: T; error?: unknown }>({ of: "" });
  const [turn, setTurn] = useState(0);
  const last = useRef({ of: "", atMs: Number.NEGATIVE_INFINITY });
  const of = JSON.stringify(keys);
  const held = state.of === of ? state : { of };
  useEffect(() => {
    const waitMs = last.current.of === of ? Math.max(0, last.current.atMs + AGAIN_MS - clock.mono()) : 0;
    const ask = () => {
      last.current = { of, atMs: clock.mono() };
      fetchIt().then(
        (value) => last.current.of === of && setState({ of, value }),
        (error: unknown) => last.current.of === of && setState((before) => ({ ...(before.of === of ? before : {}), of, error })),
      );
    };
    return clock.after(waitMs, ask);
  }, [of, turn, JSON.stringify(changes)]);
  return {
    value: held.value,
    error: held.error,
    isLoading: held.value === undefined && held.error === undefined,
    again: () => setTurn((n) => n + 1),
  };
}
