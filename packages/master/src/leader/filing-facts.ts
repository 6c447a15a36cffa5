/** What stands in etcd at the keys that filing some records touches. Not all of one revision: the transaction compares each again. */
import type { GlobalValue, NodeCondition } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Kv, Revision } from "fleetcron-shared/store/kv";
import { decode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { readKeys } from "../ops/read-keys.ts";
import { statsEntry } from "../views.ts";
import type { FiledBefore, FilingItem, Standing, StatsBefore } from "./filing.ts";

export type ReadFacts = {
  /** Whether the item still asks to be filed: its inbox key is as it was; a verdict of the leader has not been superseded. */
  isOpen(item: FilingItem): boolean;
  filed(recordKey: string): FiledBefore | undefined;
  stats(statsKey: string): StatsBefore | undefined;
  standing(key: string): Standing | undefined;
  /** Every statistics key that was read. */
  readonly statsKeys: readonly string[];
};

/** `marks`: the keys of globals and conditions that the items' results set. */
export async function readFilingFacts(
  deps: { kv: Kv; keys: Keys },
  items: readonly FilingItem[],
  marks: readonly string[],
): Promise<ReadFacts> {
  const { keys } = deps;
  const recordKey = ({ record }: FilingItem) => keys.record(record.jobGroup, record.jobId, record.id);
  const aliveKey = ({ record }: FilingItem) => keys.alive(record.nodeId);
  const statsKeys = [...new Set(items.map(({ record }) => keys.stats(record.jobGroup, record.jobId)))];
  const found = await readKeys(deps.kv, [
    ...items.map((item) => item.inboxKey),
    ...items.map(recordKey),
    ...items.map(aliveKey),
    ...statsKeys,
    ...marks,
  ]);
  const revisionOf = (key: string): Revision | undefined => found.get(key)?.modRevision;
  return {
    statsKeys,
    isOpen: (item) =>
      revisionOf(item.inboxKey) === item.inbox &&
      (item.inbox !== undefined || revisionOf(recordKey(item)) === undefined) &&
      !(item.onlyWhileGone && revisionOf(aliveKey(item)) !== undefined),
    filed(key) {
      const entry = found.get(key);
      return entry === undefined ? undefined : { revision: entry.modRevision, record: decode<ExecutionRecord>(key, entry.value) };
    },
    standing(key) {
      const entry = found.get(key);
      if (entry === undefined) return undefined;
      return { revision: entry.modRevision, at: tryDecode<GlobalValue | NodeCondition>(key, entry.value)?.at ?? "" };
    },
    stats(key) {
      const entry = found.get(key);
      return entry === undefined ? undefined : statsEntry(entry);
    },
  };
}
