/**
 * The only place with key text: building and parsing of every etcd key (docs/keys.md). A key part is `[A-Za-z0-9._:@-]`; nothing else gets
 * in, so a `/` in a name can never address another key.
 */

import { type EpochMs, fromIso, toIso } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";

const PART = /^[A-Za-z0-9._:@-]+$/;

/** Builds keys under one prefix such as `/fleetcron`. Each `xxxPrefix` ends with `/`. */
export type Keys = ReturnType<typeof createKeys>;

export function createKeys(prefix = "/fleetcron") {
  if (!/^(\/[A-Za-z0-9._:@-]+)+$/.test(prefix)) {
    throw new AppError(
      "config/invalid",
      `the etcd prefix "${prefix}" is not of the form /name or /name/name, with [A-Za-z0-9._:@-] in the names`,
    );
  }
  const join = (...parts: string[]) => {
    for (const part of parts) checkPart(part);
    return `${prefix}/${parts.join("/")}`;
  };
  return {
    prefix,
    all: `${prefix}/`,
    meta: `${prefix}/meta`,
    leader: `${prefix}/leader`,
    /** How far the auditor has come. */
    audited: `${prefix}/audited`,
    jobs: `${prefix}/jobs/`,
    job: (group: string, id: string) => join("jobs", group, id),
    jobsOfGroup: (group: string) => `${join("jobs", group)}/`,
    statsAll: `${prefix}/stats/`,
    stats: (group: string, id: string) => join("stats", group, id),
    dispatches: `${prefix}/dispatch/`,
    dispatchesOf: (node: string) => `${join("dispatch", node)}/`,
    dispatch: (node: string, group: string, id: string) => join("dispatch", node, group, id),
    ordersAll: `${prefix}/orders/`,
    ordersOf: (node: string) => `${join("orders", node)}/`,
    order: (node: string, order: string) => join("orders", node, order),
    nodes: `${prefix}/nodes/`,
    node: (node: string) => join("nodes", node),
    aliveAll: `${prefix}/alive/`,
    alive: (node: string) => join("alive", node),
    procs: `${prefix}/proc/`,
    procsOf: (node: string) => `${join("proc", node)}/`,
    /** `process`: a pid, or the id of an execution that waits without a process. */
    proc: (node: string, group: string, id: string, process: number | string) => join("proc", node, group, id, String(process)),
    claims: `${prefix}/claims/`,
    claimsOf: (group: string, id: string) => `${join("claims", group, id)}/`,
    claimsOfRule: (group: string, id: string, rule: string) => `${join("claims", group, id, rule)}/`,
    /** Times are RFC 3339 with milliseconds, so claims of a rule sort by due time. */
    claim: (group: string, id: string, rule: string, dueAtMs: EpochMs) => join("claims", group, id, rule, toIso(dueAtMs)),
    locks: `${prefix}/locks/`,
    lock: (group: string, id: string) => join("locks", group, id),
    /** Who runs next under `overlap: queue` or `replace` of an alone job. */
    lockNext: (group: string, id: string) => join("locks", group, id, "next"),
    /** Who had the lock of an alone job last. */
    lockLast: (group: string, id: string) => join("locks", group, id, "last"),
    inbox: `${prefix}/inbox/`,
    inboxOf: (node: string) => `${join("inbox", node)}/`,
    inboxRecord: (node: string, record: string) => join("inbox", node, record),
    records: `${prefix}/records/`,
    recordsOf: (group: string, id: string) => `${join("records", group, id)}/`,
    record: (group: string, id: string, record: string) => join("records", group, id, record),
    channels: `${prefix}/channels/`,
    channel: (name: string) => join("channels", name),
    /** What somebody is to be told. */
    outbox: `${prefix}/outbox/`,
    notice: (notice: string) => join("outbox", notice),
    deliveries: `${prefix}/deliveries/`,
    deliveriesOf: (channel: string) => `${join("deliveries", channel)}/`,
    delivery: (channel: string, delivery: string) => join("deliveries", channel, delivery),
    secrets: `${prefix}/secrets/`,
    secret: (group: string, name: string) => join("secrets", group, name),
    boxes: `${prefix}/boxes/`,
    boxesOf: (node: string) => `${join("boxes", node)}/`,
    /** A secret's value, encrypted for one node. */
    box: (node: string, group: string, name: string) => join("boxes", node, group, name),
    logs: `${prefix}/log/`,
    /** The chunks of one log order. */
    logOf: (execution: string, order: string) => `${join("log", execution, order)}/`,
    logChunk: (execution: string, order: string, seq: number) => join("log", execution, order, String(seq).padStart(10, "0")),
    globals: `${prefix}/globals/`,
    global: (name: string) => join("globals", name),
    conditions: `${prefix}/conditions/`,
    conditionsOf: (node: string) => `${join("conditions", node)}/`,
    condition: (node: string, type: string) => join("conditions", node, type),
    pipelines: `${prefix}/pipelines/`,
    pipelinesOfGroup: (group: string) => `${join("pipelines", group)}/`,
    pipeline: (group: string, id: string) => join("pipelines", group, id),
    runs: `${prefix}/runs/`,
    runsOf: (group: string, pipeline: string) => `${join("runs", group, pipeline)}/`,
    run: (group: string, pipeline: string, run: string) => join("runs", group, pipeline, run),
    /** What a run was made of; never changes. */
    plan: (group: string, pipeline: string, run: string) => join("plans", group, pipeline, run),
    unfinishedAll: `${prefix}/unfinished/`,
    unfinished: (run: string) => join("unfinished", run),
    requests: `${prefix}/requests/`,
    request: (request: string) => join("requests", request),
    answers: `${prefix}/answers/`,
    answer: (request: string) => join("answers", request),
    /** How far a timer of a pipeline has come. */
    ticks: `${prefix}/ticks/`,
    tick: (group: string, pipeline: string, trigger: string) => join("ticks", group, pipeline, trigger),
    /** The run that a delivery of a webhook has started. */
    hook: (group: string, pipeline: string, trigger: string, delivery: string) => join("hooks", group, pipeline, trigger, delivery),
    /** A POST with an Idempotency-Key, by a hash of its caller and key. */
    once: (hash: string) => join("once", hash),
    /** Ends of runs that other pipelines follow. */
    ends: `${prefix}/ends/`,
    end: (run: string, attempt: number) => join("ends", run, String(attempt)),
    /** The failures in a row of a pipeline. */
    streaks: `${prefix}/streaks/`,
    streak: (group: string, pipeline: string) => join("streaks", group, pipeline),
    tokens: `${prefix}/tokens/`,
    token: (id: string) => join("tokens", id),
    sessions: `${prefix}/sessions/`,
    /** A session of the console, by a hash of its cookie. */
    session: (hash: string) => join("sessions", hash),
    /** A login that can be done once, by a hash of its secret. */
    login: (hash: string) => join("logins", hash),
    audits: `${prefix}/audit/`,
    /** Ids sort by time. */
    audit: (id: string) => join("audit", id),
    /** The parts of `key` behind the prefix and its family: `parts("/fleetcron/jobs/a/b")` is `["jobs", "a", "b"]`. */
    parts: (key: string): string[] => key.slice(prefix.length + 1).split("/"),
  };
}

/** Throws `input/invalid` when `part` may not stand in a key. */
export function checkPart(part: string): void {
  if (!PART.test(part)) throw new AppError("input/invalid", `"${part}" may not stand in a key; allowed are letters, digits and ._:@-`);
}

/** The due time at the end of a claim key, or undefined. */
export function claimDueMs(key: string): EpochMs | undefined {
  return fromIso(key.slice(key.lastIndexOf("/") + 1));
}
