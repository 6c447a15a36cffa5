/**
 * The port to the history: records and ended runs of pipelines that are kept beyond etcd. Adapters: sqlite-history.ts (a file beside the master) and
 * postgres-history.ts (one database for all masters); both pass the same tests. Every call may fail with `history/away` (try again later) or
 * `history/refused` (somebody has to do something); nothing here touches etcd.
 */
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Revision } from "fleetcron-shared/store/kv";

/** Where a page begins: behind this record in the order of end times, newest first; equal ones by id. */
export type Place = { readonly endMs: number; readonly id: string };

export type RecordFilter = {
  /** `group/id`. */
  readonly job?: string | undefined;
  readonly group?: string | undefined;
  readonly node?: string | undefined;
  /** `success`, `failure`, a kind such as `skipped`, or a word such as `exit:1`. */
  readonly outcome?: string | undefined;
  /** Ended at or after. */
  readonly sinceMs?: number | undefined;
  /** Ended before. */
  readonly untilMs?: number | undefined;
  /** Words of name, command or output (search-text.ts). */
  readonly text?: string | undefined;
};

export type RecordQuery = RecordFilter & { readonly before?: Place | undefined; readonly limit: number };
/** `next`: there may be more behind it. A page may be short and still have a next one. */
export type RecordSlice = { readonly records: readonly ExecutionRecord[]; readonly next?: Place };

export type ArchivedRun = { readonly run: RunDocument; readonly plan: RunPlan };
export type RunQuery = {
  readonly pipeline?: string | undefined;
  readonly state?: string | undefined;
  /** Ids smaller than this. */
  readonly before: string;
  readonly limit: number;
};

/** What is stored at once or not at all. */
export type Batch = {
  readonly records: readonly ExecutionRecord[];
  readonly runs: readonly (ArchivedRun & { readonly revision: Revision })[];
  /** Everything that etcd holds up to this revision is in the archive with this batch. */
  readonly upTo?: Revision;
  /** `upTo` holds even if it is lower than the one before: etcd was put back. */
  readonly anew?: boolean;
};

export type HistoryFacts = {
  readonly records: number;
  readonly runs: number;
  readonly bytes: number;
  readonly oldestMs: number | undefined;
};

export type History = {
  readonly kind: "sqlite" | "postgres";
  /** One archive for all masters: the leader fills it. Otherwise each master fills its own. */
  readonly isShared: boolean;
  /** For people; no password. */
  readonly where: string;
  /** Connects, brings the tables up to date and makes sure that they belong to this cluster. May be called again after a failure. */
  open(cluster: string): Promise<void>;
  /** The `upTo` of the newest batch; undefined when there has been none. */
  position(): Promise<Revision | undefined>;
  /**
   * A record that is there stays as it is, but for a provisional one: the true one replaces it, or a later form of it; a void one (model/missed.ts) removes it.
   * A run is replaced by its later end.
   */
  append(batch: Batch): Promise<void>;
  records(query: RecordQuery): Promise<RecordSlice>;
  record(id: string): Promise<ExecutionRecord | undefined>;
  /** The records of an execution. */
  recordsOf(execution: string): Promise<readonly ExecutionRecord[]>;
  /** By id, newest first. */
  runs(query: RunQuery): Promise<readonly RunDocument[]>;
  run(id: string): Promise<ArchivedRun | undefined>;
  /** Deletes a portion of what ended before; returns how much, 0 when there was nothing left. */
  expire(beforeMs: number): Promise<number>;
  /** May estimate. */
  facts(): Promise<HistoryFacts>;
  close(): Promise<void>;
};

/** With a text that many records have by words and few to the letter, a page ends after so many were looked at. */
export const MAX_LOOKED_AT = 2000;
