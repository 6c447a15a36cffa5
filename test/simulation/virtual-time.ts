/**
 * The one time line of a simulated world: events in the order of their instants, and of their making within one. Time moves on only when everything that
 * the last event has made ready is done: all microtasks, however deep. There is no real waiting and no real input in between, so the order is a matter of
 * the seed alone.
 */
import { systemClock } from "fleetcron-shared/base/clock";

export type VirtualTime = {
  /** Since the beginning, in milliseconds. */
  readonly nowMs: number;
  /** How many events have happened. */
  readonly events: number;
  /** Calls `fn` at that instant, or now if it has passed; the returned function cancels it. */
  at(ms: number, fn: () => void): () => void;
  /** Resolves when everything up to and at `untilMs` has happened. Rejects when `fn` of an event throws, or when time stands still. */
  run(untilMs: number): Promise<void>;
};

type Event = { readonly at: number; readonly order: number; fn: (() => void) | undefined };

/** Events between two turns of the real event loop, each of which costs some microseconds. */
const BATCH = 48;
/** More events in one instant are a loop. */
const MOST_AT_ONCE = 200_000;

export function createVirtualTime(): VirtualTime {
  const heap: Event[] = [];
  let nowMs = 0;
  let orders = 0;
  let events = 0;
  let atOnce = 0;

  function isBefore(one: Event, other: Event): boolean {
    return one.at < other.at || (one.at === other.at && one.order < other.order);
  }

  function push(event: Event): void {
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Event;
      if (!isBefore(event, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  function pop(): Event {
    const top = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
    return top;
  }

  /** The next event up to `untilMs`; false when there is none. */
  function happen(untilMs: number): boolean {
    for (let next = heap[0]; next !== undefined; next = heap[0]) {
      if (next.fn !== undefined && next.at > untilMs) break;
      pop();
      if (next.fn === undefined) continue;
      atOnce = next.at === nowMs ? atOnce + 1 : 0;
      if (atOnce > MOST_AT_ONCE) throw new Error(`time stands still at ${nowMs} ms`);
      nowMs = Math.max(nowMs, next.at);
      events++;
      next.fn();
      return true;
    }
    nowMs = Math.max(nowMs, untilMs);
    return false;
  }

  return {
    get nowMs() {
      return nowMs;
    },
    get events() {
      return events;
    },
    at(ms, fn) {
      const event: Event = { at: Math.max(ms, nowMs), order: orders++, fn };
      push(event);
      return () => {
        event.fn = undefined;
      };
    },
    run(untilMs) {
      return new Promise((resolve, reject) => {
        let isOver = false;
        // Each is a task of its own: microtasks are done between them.
        const step = () => {
          if (isOver) return;
          try {
            isOver = !happen(untilMs);
          } catch (thrown) {
            isOver = true;
            reject(thrown);
          }
        };
        const batch = () => {
          if (isOver) return resolve();
          for (let i = 0; i < BATCH; i++) systemClock.turn(step);
          systemClock.turn(batch);
        };
        systemClock.turn(batch);
      });
    },
  };
}
