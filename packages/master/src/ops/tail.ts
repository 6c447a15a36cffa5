/**
 * The changes of a prefix as they happen, with nothing held in memory: for families that grow with time. A watch that breaks goes on where it was; when
 * that is impossible (compaction, another etcd) `onLost` says that changes were not seen. Etcd away: nothing comes.
 */
import { backoffMs } from "fleetcron-shared/base/backoff";
import { asError, isCode } from "fleetcron-shared/base/errors";
import { prefixRange, type Revision, type WatchEnd, type WatchEvent } from "fleetcron-shared/store/kv";
import type { MirrorDeps } from "fleetcron-shared/store/mirror";

export type TailOptions = {
  readonly prefix: string;
  /** The first change that is told has a greater revision. */
  readonly after: Revision;
  onEvents(events: readonly WatchEvent[], revision: Revision): void;
  onLost(): void;
};
export type Tail = {
  /** Every change up to here was told. */
  revision(): Revision;
  close(): Promise<void>;
};

const BACKOFF = { firstMs: 50, maxMs: 1000 };

export function openTail(deps: MirrorDeps, options: TailOptions): Tail {
  const { kv, clock, random } = deps;
  const log = deps.log.child({ prefix: options.prefix });
  const range = prefixRange(options.prefix);
  const closing = new AbortController();
  let told = options.after;
  let failures = 0;
  let interrupt = () => {};

  function follow(): Promise<WatchEnd> {
    const ended = Promise.withResolvers<WatchEnd>();
    const stop = kv.watch(
      { ...range, fromRevision: told + 1 },
      {
        onStarted() {
          failures = 0;
        },
        onEvents(events, revision) {
          told = Math.max(told, revision);
          options.onEvents(events, revision);
        },
        onProgress(revision) {
          told = Math.max(told, revision);
        },
        onEnd: ended.resolve,
      },
    );
    interrupt = stop;
    return ended.promise;
  }

  /** After what can no longer be read. */
  async function startAnew(): Promise<void> {
    const { revision } = await kv.range({ ...range, countOnly: true });
    told = revision;
    options.onLost();
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const end = await follow();
      if (closing.signal.aborted) return;
      failures += 1;
      if (failures === 1) log.warn({ err: end.error, reason: end.reason }, "tail interrupted");
      await clock.sleep(backoffMs({ random }, BACKOFF, failures), closing.signal);
      if (end.reason !== "compacted" && end.reason !== "otherCluster") continue;
      for (let tries = 1; !closing.signal.aborted; tries++) {
        try {
          await startAnew();
          break;
        } catch (error) {
          if (isCode(error, "etcd/closed")) return;
          log.debug({ err: asError(error) }, "tail cannot start anew");
          await clock.sleep(backoffMs({ random }, BACKOFF, tries), closing.signal);
        }
      }
    }
  }

  const done = run();
  return {
    revision: () => told,
    async close() {
      closing.abort();
      interrupt();
      await done;
    },
  };
}
