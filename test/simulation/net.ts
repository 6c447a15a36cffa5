/**
 * The way between one process and etcd: every request and every answer takes its time, and may be late, lost or cut off, each direction for itself. Calls have
 * the deadline of the real adapter, and fail with its codes: what may have been applied has an unknown outcome. Messages of one watch stay in order.
 */
import { AppError } from "fleetcron-shared/base/errors";
import type { Kv } from "fleetcron-shared/store/kv";
import type { SimProcess } from "./process.ts";
import type { Dice } from "./random.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** As in store/etcd-kv.ts. */
const CALL_TIMEOUT_MS = 2000;
/** gRPC notices a dead connection after its keep-alive, 10 s and 3 s. */
const NOTICED_MS = [3000, 13_000] as const;
const CUT = new Error("the connection is cut");

/** What befalls the way of one process. All of it can be undone by `heal`. */
export type Trouble = {
  cutUp: boolean;
  cutDown: boolean;
  /** Added to each direction, up to so much. */
  slowMs: number;
  /** Share of the answers to writes that get lost. */
  lossy: number;
};

export type Way = Kv & {
  cut(directions: { readonly up: boolean; readonly down: boolean }): void;
  slow(ms: number): void;
  lose(share: number): void;
  heal(): void;
};

type Deps = { readonly time: VirtualTime; readonly process: SimProcess; readonly dice: Dice };
type Held = { readonly send: () => void; readonly drop: () => void };
type OpenWatch = { fail(error: Error): void };

export function openWay({ time, process, dice }: Deps, etcd: Kv): Way {
  const trouble: Trouble = { cutUp: false, cutDown: false, slowMs: 0, lossy: 0 };
  /** Messages that wait for the cut to heal. */
  let heldUp: Held[] = [];
  let heldDown: Held[] = [];
  const watches = new Set<OpenWatch>();
  /** The connection is known to be dead. */
  let isBroken = false;
  let cancelNotice = () => {};

  process.onDeath(() => void etcd.close());

  function delayMs(): number {
    const usual = dice.chance(0.02) ? dice.int(5, 90) : dice.int(1, 4);
    return trouble.slowMs === 0 ? usual : usual + dice.int(0, trouble.slowMs);
  }

  function up(send: () => void, drop: () => void): void {
    if (trouble.cutUp) heldUp.push({ send, drop });
    else send();
  }

  function down(send: () => void): void {
    if (trouble.cutDown) heldDown.push({ send, drop: () => {} });
    else send();
  }

  function call<T>(kind: "read" | "write", apply: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (!process.isAlive) return promise;
    let isSurelyUnsent = false;
    const fail = () => {
      const isUnknown = kind === "write" && !isSurelyUnsent;
      reject(
        isUnknown
          ? new AppError("etcd/unknown-outcome", "the connection to etcd broke before the answer came")
          : new AppError("etcd/unreachable", "etcd cannot be reached (the connection is cut)"),
      );
    };
    if (isBroken) {
      isSurelyUnsent = true;
      process.deliver(time.nowMs + dice.int(1, 200), fail);
      return promise;
    }
    const cancelDeadline = process.deliver(time.nowMs + CALL_TIMEOUT_MS, fail);
    const answer = (settle: () => void) => {
      if (kind === "write" && dice.chance(trouble.lossy)) return;
      down(() => {
        process.deliver(time.nowMs + delayMs(), () => {
          cancelDeadline();
          settle();
        });
      });
    };
    time.at(time.nowMs + delayMs(), () =>
      up(
        () => {
          apply().then(
            (value) => answer(() => resolve(value)),
            (error) => answer(() => reject(error)),
          );
        },
        () => {
          isSurelyUnsent = true;
        },
      ),
    );
    return promise;
  }

  function breakConnection(): void {
    isBroken = true;
    // What was on its way is lost; a request that had left may still arrive.
    for (const { send, drop } of heldUp)
      if (dice.chance(0.8)) drop();
      else time.at(time.nowMs + dice.int(1, 3000), send);
    heldUp = [];
    heldDown = [];
    for (const watch of [...watches]) watch.fail(CUT);
  }

  return {
    get: (key) => call("read", () => etcd.get(key)),
    range: (query) => call("read", () => etcd.range(query)),
    txn: (txn) => call("write", () => etcd.txn(txn)),
    grantLease: (ttlMs) => call("write", () => etcd.grantLease(ttlMs)),
    keepAlive: (lease) => call("read", () => etcd.keepAlive(lease)),
    revokeLease: (lease) => call("write", () => etcd.revokeLease(lease)),
    watch(query, handlers) {
      let isOver = false;
      let lastAt = 0;
      let stop = () => {};
      const end = (tell: () => void) => {
        if (isOver) return;
        isOver = true;
        watches.delete(own);
        stop();
        tell();
      };
      const tell = (fn: () => void) =>
        down(() => {
          lastAt = Math.max(lastAt, time.nowMs + delayMs());
          process.deliver(lastAt, () => {
            if (!isOver) fn();
          });
        });
      const failAt = (atMs: number, error: Error) => process.deliver(atMs, () => end(() => handlers.onEnd({ reason: "error", error })));
      const own: OpenWatch = { fail: (error) => failAt(time.nowMs, error) };
      watches.add(own);
      if (isBroken) failAt(time.nowMs + dice.int(1, 200), CUT);
      else {
        time.at(time.nowMs + delayMs(), () =>
          up(
            () => {
              if (isOver || !process.isAlive) return;
              stop = etcd.watch(query, {
                onStarted: () => tell(() => handlers.onStarted?.()),
                onEvents: (events, revision) => tell(() => handlers.onEvents(events, revision)),
                onProgress: (revision) => tell(() => handlers.onProgress?.(revision)),
                onEnd: (how) => {
                  if (how.reason !== "closed") tell(() => end(() => handlers.onEnd(how)));
                },
              });
            },
            () => own.fail(CUT),
          ),
        );
      }
      return () => end(() => handlers.onEnd({ reason: "closed" }));
    },
    onReplaced: (fn) => etcd.onReplaced(() => process.deliver(time.nowMs, fn)),
    close: () => etcd.close(),
    cut(directions) {
      trouble.cutUp ||= directions.up;
      trouble.cutDown ||= directions.down;
      cancelNotice();
      cancelNotice = time.at(time.nowMs + dice.int(...NOTICED_MS), () => {
        if (trouble.cutUp || trouble.cutDown) breakConnection();
      });
    },
    slow(ms) {
      trouble.slowMs = ms;
    },
    lose(share) {
      trouble.lossy = share;
    },
    heal() {
      cancelNotice();
      Object.assign(trouble, { cutUp: false, cutDown: false, slowMs: 0, lossy: 0 });
      isBroken = false;
      const held = [...heldUp, ...heldDown];
      heldUp = [];
      heldDown = [];
      for (const { send } of held) send();
    },
  };
}
