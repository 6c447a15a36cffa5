/**
 * The inbox as the filer sees it: what waits, oldest news first. Texts are held up to a size; beyond it only keys, and the text is read when
 * its turn comes, so that a flood after an outage does not fill the memory.
 */

import type { Log } from "fleetcron-shared/base/log";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Kv, Revision } from "fleetcron-shared/store/kv";
import type { MirrorEvent } from "fleetcron-shared/store/mirror";
import { decode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { readKeys } from "../ops/read-keys.ts";
import type { FilingItem } from "./filing.ts";
import { firstOf } from "./first-of.ts";

const HELD_BYTES = 32 * 2 ** 20;

type Waiting = { readonly revision: Revision; readonly text: string | undefined };

export type InboxQueue = {
  follow(events: readonly MirrorEvent[]): void;
  /** The next at most `count` records; they stay in the queue until dropped. */
  take(count: number): Promise<FilingItem[]>;
  /** The item has been dealt with (unless the key was written anew since). */
  drop(item: FilingItem): void;
  /** Whether nothing waits that was written at this revision or before. */
  isPast(revision: Revision): boolean;
  readonly size: number;
};

export function createInboxQueue(deps: { kv: Kv; keys: Keys; log: Log }): InboxQueue {
  const { kv, keys, log } = deps;
  const waiting = new Map<string, Waiting>();
  let heldBytes = 0;

  function remove(key: string): void {
    heldBytes -= waiting.get(key)?.text?.length ?? 0;
    waiting.delete(key);
  }

  /** The record of an inbox value. One that cannot be filed stays in etcd, is reported once and waits no longer. */
  function parse(key: string, text: string): ExecutionRecord | undefined {
    try {
      const record = decode<ExecutionRecord>(key, text);
      const [, node, id] = keys.parts(key);
      keys.record(record.jobGroup, record.jobId, record.id);
      if (record.nodeId === node && record.id === id && typeof record.outcome.type === "string") return record;
      log.error({ key }, "inbox record does not belong to its key, left unfiled");
    } catch (error) {
      log.error({ key, err: error }, "inbox record unreadable, left unfiled");
    }
    remove(key);
    return undefined;
  }

  return {
    follow(events) {
      for (const event of events) {
        if (event.type === "delete") {
          remove(event.key);
          continue;
        }
        const { key, value, modRevision } = event.kv;
        remove(key);
        const text = heldBytes + value.length > HELD_BYTES ? undefined : value;
        heldBytes += text?.length ?? 0;
        waiting.set(key, { revision: modRevision, text });
      }
    },
    async take(count) {
      const chosen = firstOf(waiting, count);
      const unread = chosen.filter(([, { text }]) => text === undefined).map(([key]) => key);
      const read = unread.length === 0 ? undefined : await readKeys(kv, unread);
      const items: FilingItem[] = [];
      for (const [key, { revision, text }] of chosen) {
        const entry = read?.get(key);
        if (text === undefined && entry === undefined) {
          remove(key);
          continue;
        }
        const record = parse(key, text ?? entry?.value ?? "");
        if (record !== undefined) items.push({ inboxKey: key, inbox: entry?.modRevision ?? revision, record });
      }
      return items;
    },
    drop(item) {
      const held = waiting.get(item.inboxKey);
      if (held !== undefined && item.inbox !== undefined && held.revision <= item.inbox) remove(item.inboxKey);
    },
    isPast(revision) {
      for (const held of waiting.values()) if (held.revision <= revision) return false;
      return true;
    },
    get size() {
      return waiting.size;
    },
  };
}
