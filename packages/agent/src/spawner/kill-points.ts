/** The instants between the steps of an execution, by name (base/kill-points.ts): agents and spawners can be made to die in each of them. */

/** In the order in which an agent passes them. */
export const AGENT_POINTS = [
  /** Known in memory; the journal is not committed. */
  "begun",
  /** The tick and, for `alone`, the lock are ours. */
  "claimed",
  /** Secrets, input and result file are in place. */
  "filesMade",
  /** The journal says `running`. */
  "committed",
  /** About to be sent to a spawner. */
  "handedOver",
  /** The process runs, and only the spawner knows. */
  "spawned",
  /** Journal and `proc` are on their way. */
  "registered",
  /** The spawner has told of the end. */
  "ended",
  /** The record is in the journal, not committed. */
  "recorded",
  /** … committed. */
  "recordKept",
  /** The record is in etcd, and still in the journal. */
  "posted",
  /** Files are removed and the spawner may forget. */
  "filesRemoved",
] as const;

/** In the order in which a spawner passes them. */
export const SPAWNER_POINTS = [
  /** Asked for; not in the logbook. */
  "spawner:taken",
  /** In the logbook; nothing runs. */
  "spawner:noted",
  /** It runs, and nobody has noted its pid. */
  "spawner:spawned",
  /** The pid is in the logbook; the agent does not know. */
  "spawner:logged",
  /** The kernel has told of the end. */
  "spawner:reaped",
  /** The end is in the logbook; the agent does not know. */
  "spawner:ended",
] as const;

export type KillPoint = (typeof AGENT_POINTS)[number] | (typeof SPAWNER_POINTS)[number];
export type PassPoint = (point: KillPoint) => void;
