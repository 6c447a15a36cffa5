/** Judges what etcd's members say about themselves. Pure; what is not known is a warning that tells how to find out. */
import type { EtcdFacts } from "./etcd-facts.ts";
import { humanBytes, humanDuration } from "./human.ts";

/** One line of the doctor. `outOfReach` marks failures that exit code 6 stands for. */
export type Check = {
  readonly level: "ok" | "warn" | "fail";
  readonly name: string;
  readonly text: string;
  readonly todo?: string;
  readonly outOfReach?: boolean;
};

/** etcd's own advice: a member whose log takes longer than this to reach the disk is on too slow a disk. */
const SLOW_FSYNC_MS = 10;
const SLOW_COMMIT_MS = 25;
/** Beyond so many revisions without a compaction it is not switched on. */
const MANY_REVISIONS = 200_000;

export function checkEtcdMember(facts: EtcdFacts): Check[] {
  const name = `etcd ${facts.endpoint}`;
  if (facts.reason !== undefined) {
    const todo = "ask it where it can be reached: `etcdctl endpoint status --cluster -w table`, `etcdctl alarm list`";
    return [
      {
        level: "warn",
        name,
        text: `cannot be asked from this host (${facts.reason}); its health, alarms, size and compaction are unknown`,
        todo,
      },
    ];
  }
  return [
    checkHealth(name, facts),
    ...checkAlarms(name, facts),
    checkQuota(name, facts),
    checkCompaction(name, facts),
    checkDisk(name, facts),
  ];
}

/** What only shows when all members are looked at together. */
export function checkEtcdMembers(facts: readonly EtcdFacts[]): Check[] {
  const versions = [...new Set(facts.flatMap((one) => one.version ?? []))];
  if (versions.length <= 1) return [];
  return [{ level: "warn", name: "etcd", text: `its members differ in version: ${versions.join(", ")}`, todo: "finish the upgrade" }];
}

function checkHealth(name: string, facts: EtcdFacts): Check {
  const version = `version ${facts.version ?? "unknown"}`;
  if (facts.healthy === false)
    return { level: "fail", name, text: `is not healthy (${version})`, todo: "look at its log; a member without a leader cannot write" };
  if (!isSupported(facts.version)) return { level: "fail", name, text: `${version} is too old`, todo: "use etcd 3.4 or newer" };
  return {
    level: facts.healthy === true ? "ok" : "warn",
    name,
    text: facts.healthy === true ? `healthy, ${version}` : `${version}, health unknown`,
  };
}

function checkAlarms(name: string, { alarms }: EtcdFacts): Check[] {
  if (alarms === undefined) return [{ level: "warn", name, text: "alarms unknown", todo: "`etcdctl alarm list`" }];
  return alarms.map((alarm) => ({
    level: "fail",
    name,
    text: `alarm ${alarm}`,
    todo:
      alarm === "NOSPACE"
        ? "compact and defragment it, raise --quota-backend-bytes, then `etcdctl alarm disarm`"
        : "see etcd's manual on this alarm, then `etcdctl alarm disarm`",
  }));
}

function checkQuota(name: string, { dbBytes, quotaBytes }: EtcdFacts): Check {
  if (dbBytes === undefined || quotaBytes === undefined || quotaBytes <= 0) {
    return {
      level: "warn",
      name,
      text: "use of its quota unknown",
      todo: "`etcdctl endpoint status -w table` shows its size; compare it with --quota-backend-bytes (default 2 GiB)",
    };
  }
  const share = dbBytes / quotaBytes;
  const text = `${humanBytes(dbBytes)} of ${humanBytes(quotaBytes)} used (${Math.round(share * 100)} %)`;
  const todo = "`etcdctl defrag`, or raise --quota-backend-bytes; when it is full nothing can be written";
  return share > 0.9
    ? { level: "fail", name, text, todo }
    : share > 0.6
      ? { level: "warn", name, text, todo }
      : { level: "ok", name, text };
}

function checkCompaction(name: string, { compactedRevision, revision }: EtcdFacts): Check {
  const todo = "start etcd with --auto-compaction-retention=1h";
  if (compactedRevision === undefined)
    return {
      level: "warn",
      name,
      text: "whether it compacts is unknown",
      todo: `look at its command line: it needs --auto-compaction-retention (1h does)`,
    };
  if (compactedRevision > 0) return { level: "ok", name, text: `compacts (last up to revision ${compactedRevision})` };
  if ((revision ?? 0) > MANY_REVISIONS)
    return { level: "warn", name, text: `has never compacted its ${revision} revisions since it started`, todo };
  return {
    level: "ok",
    name,
    text: `has not compacted since it started, and need not yet (revision ${revision ?? "unknown"}); it should run with --auto-compaction-retention`,
  };
}

function checkDisk(name: string, { fsyncMs, commitMs }: EtcdFacts): Check {
  if (fsyncMs === undefined || commitMs === undefined)
    return {
      level: "warn",
      name,
      text: "the speed of its disk is unknown",
      todo: "its /metrics page has etcd_disk_wal_fsync_duration_seconds",
    };
  const text = `its log reaches the disk in ${humanDuration(fsyncMs)}, its database in ${humanDuration(commitMs)} on average`;
  return fsyncMs > SLOW_FSYNC_MS || commitMs > SLOW_COMMIT_MS
    ? { level: "warn", name, text, todo: "give etcd a faster disk (SSD), away from other writers" }
    : { level: "ok", name, text };
}

function isSupported(version: string | undefined): boolean {
  const match = /^(\d+)\.(\d+)/.exec(version ?? "");
  return match === null || Number(match[1]) > 3 || (Number(match[1]) === 3 && Number(match[2]) >= 4);
}
