/**
 * All process trees of one spawner helper. Requests are started as they come, in slices, so that ends, kills and deadlines are served in the middle of a
 * burst of starts; replies of one turn of the event loop leave together.
 */
import { openSync } from "node:fs";
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { encodeLine, type FromSpawner, type ToSpawner } from "../spawner-protocol.ts";
import { ProcessTree } from "./process-tree.ts";

/** The longest that a burst of starts keeps everything else waiting. */
const SLICE_MS = 10;

export type Host = {
  receive(message: ToSpawner): void;
  /** Ends everything; `maxGraceMs` shortens the grace between TERM and KILL. */
  endAll(by: string, reason: string, maxGraceMs?: number): void;
  readonly size: number;
};

/** `send` takes whole lines; `onIdle` is called whenever the last execution has ended and its reply is sent. */
export function openHost(deps: { clock: Clock; send: (text: string) => void; onIdle: () => void }): Host {
  const { clock, send, onIdle } = deps;
  const nullFd = openSync("/dev/null", "r");
  const trees = new Map<number, ProcessTree>();
  let queue: ProcessTree[] = [];
  let sliceEnd: MonoMs | undefined;
  let replies = "";

  function report(message: FromSpawner): void {
    if (message.t === "ended") trees.delete(message.id);
    if (replies === "") setImmediate(flush);
    replies += encodeLine(message);
  }

  function flush(): void {
    send(replies);
    replies = "";
    if (trees.size === 0) onIdle();
  }

  function startQueued(): void {
    if (sliceEnd === undefined) {
      sliceEnd = clock.mono() + SLICE_MS;
      setImmediate(nextTurn);
    }
    let next = 0;
    while (next < queue.length && clock.mono() < sliceEnd) queue[next++]?.start(nullFd);
    queue = queue.slice(next);
  }

  function nextTurn(): void {
    sliceEnd = undefined;
    if (queue.length > 0) startQueued();
  }

  function endAll(by: string, reason: string, maxGraceMs?: number): void {
    for (const tree of [...trees.values()]) tree.end({ type: "killed", by, reason }, maxGraceMs);
  }

  return {
    receive(message) {
      switch (message.t) {
        case "start": {
          const tree = new ProcessTree({ clock, report }, message.id, message.spec);
          trees.set(message.id, tree);
          queue.push(tree);
          return startQueued();
        }
        case "kill":
          return trees.get(message.id)?.end({ type: "killed", by: message.by, reason: message.reason });
        case "extend":
          return trees.get(message.id)?.extend(message.deadlineMono);
        case "extendAll":
          for (const tree of trees.values()) tree.extend(message.deadlineMono);
          return;
        case "killAll":
          return endAll(message.by, message.reason);
      }
    },
    endAll,
    get size() {
      return trees.size;
    },
  };
}
