/** How often something has changed since the page was opened: what a page that shows one thing asks again at. */
import { useEffect, useState } from "preact/hooks";
import { useApp } from "./context.ts";
import type { Change } from "./fleet.ts";

/** `keys`: what `matches` depends on. Changes that may have been missed count, too. */
export function useTouches(matches: (change: Change) => boolean, keys: readonly unknown[]): number {
  const { fleet } = useApp();
  const [count, setCount] = useState(0);
  useEffect(
    () => fleet.listen((change) => (change === undefined || matches(change) ? setCount((n) => n + 1) : undefined)),
    [fleet, JSON.stringify(keys)],
  );
  return count;
}
