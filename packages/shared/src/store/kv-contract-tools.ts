/** What the cases of the store contract are written with. */
import { isCode } from "../base/errors.ts";
import type { Kv, Op, Revision, WatchEnd, WatchEvent } from "./kv.ts";

export type ContractEnv = {
  readonly kv: Kv;
  /** Ends with `/`; nobody else writes below it. */
  readonly prefix: string;
  /** A further connection to the same store. */
  connect(): Kv;
  compact(revision: Revision): Promise<void>;
};

export type ContractCase = { readonly name: string; run(env: ContractEnv): Promise<void> };

export const put = (key: string, value: string, lease?: string): Op => ({ op: "put", key, value, lease });
export const write = async (kv: Kv, ...ops: Op[]) => (await kv.txn({ then: ops })).revision;
export const holds = async (kv: Kv, compare: Parameters<Kv["txn"]>[0]["if"]) =>
  (await kv.txn({ ...(compare ? { if: compare } : {}), then: [] })).succeeded;
export const failsWith =
  (code: Parameters<typeof isCode>[1]) =>
  (error: unknown): boolean =>
    isCode(error, code);

export const text = (event: WatchEvent) =>
  event.type === "put" ? `put ${event.kv.key.split("/").at(-1)}=${event.kv.value}` : `delete ${event.key.split("/").at(-1)}`;

/** A watch whose events are collected; `until` resolves when enough of them have come. */
export function collect(kv: Kv, query: Parameters<Kv["watch"]>[0]) {
  const batches: (readonly WatchEvent[])[] = [];
  const revisions: Revision[] = [];
  const ended = Promise.withResolvers<WatchEnd>();
  const started = Promise.withResolvers<void>();
  let ends = 0;
  let check = () => {};
  const stop = kv.watch(query, {
    onStarted: started.resolve,
    onEvents(events, revision) {
      batches.push(events);
      revisions.push(revision);
      check();
    },
    onEnd(end) {
      ends += 1;
      ended.resolve(end);
    },
  });
  const events = () => batches.flat();
  const until = (count: number) =>
    new Promise<WatchEvent[]>((resolve) => {
      check = () => events().length >= count && resolve(events());
      check();
    });
  return { batches, revisions, started: started.promise, ended: ended.promise, ends: () => ends, until, stop };
}
