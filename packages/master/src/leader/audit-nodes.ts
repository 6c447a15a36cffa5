/**
 * Which nodes a rule was for at an instant, and since when each has been there or away, as far as this term has seen it. A change of labels keeps what was
 * before it for as long as ticks of that time may be asked for. Pure but for what it holds.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { fromIso } from "fleetcron-shared/base/clock";
import type { Alive } from "fleetcron-shared/model/facts";
import type { Target } from "fleetcron-shared/model/job";
import { matchesTarget } from "fleetcron-shared/model/target";
import type { NodeEntry } from "../views.ts";

export type AuditNode = {
  readonly id: string;
  hostname: string;
  /** Since when it has matched what it matches now. */
  sinceMs: EpochMs;
  labels: Readonly<Record<string, string>>;
  before: readonly { readonly untilMs: EpochMs; readonly sinceMs: EpochMs; readonly labels: Readonly<Record<string, string>> }[];
  /** Undefined while it is offline. */
  alive: Alive | undefined;
  /** Since when it has been online or offline; the beginning of the term when it was so then. */
  turnedMs: EpochMs;
  /** It has delivered what it had kept back, then. */
  caughtUpMs: EpochMs;
};

const KEEP_MS = 2 * 3_600_000;

export type AuditNodes = {
  put(id: string, entry: NodeEntry | undefined): void;
  turn(id: string, alive: Alive | undefined): void;
  get(id: string): AuditNode | undefined;
  /** The nodes that the target took in at that time, and still knows of. */
  at(target: Target, dueMs: EpochMs): readonly AuditNode[];
};

export function createAuditNodes(clock: { now(): EpochMs }): AuditNodes {
  const nodes = new Map<string, AuditNode>();
  const selections = new Map<string, readonly AuditNode[]>();
  const texts = new WeakMap<Target, string>();
  /** Those whose labels have changed lately. */
  const changed = new Set<AuditNode>();
  const startedMs = clock.now();
  const waiting = new Map<string, { alive: Alive; turnedMs: EpochMs }>();

  function select(target: Target): readonly AuditNode[] {
    const key = texts.get(target) ?? JSON.stringify([target.nodes, target.labels, target.exclude]);
    texts.set(target, key);
    const known = selections.get(key);
    if (known !== undefined) return known;
    const found = [...nodes.values()].filter((node) => matchesTarget(target, node));
    selections.set(key, found);
    return found;
  }

  function labelsAt(node: AuditNode, ms: EpochMs): Readonly<Record<string, string>> | undefined {
    for (const { untilMs, sinceMs, labels } of node.before) if (ms < untilMs) return ms >= sinceMs ? labels : undefined;
    return ms >= node.sinceMs ? node.labels : undefined;
  }

  return {
    put(id, entry) {
      selections.clear();
      const node = nodes.get(id);
      if (entry === undefined) {
        if (node !== undefined) changed.delete(node);
        nodes.delete(id);
        return;
      }
      const { info, labels } = entry;
      const nowMs = clock.now();
      if (node === undefined) {
        const held = waiting.get(id);
        waiting.delete(id);
        const sinceMs = fromIso(info.createdAt) ?? 0;
        nodes.set(id, {
          ...{ id, hostname: info.hostname, sinceMs, labels, before: [], alive: held?.alive, caughtUpMs: 0 },
          turnedMs: held?.turnedMs ?? startedMs,
        });
        return;
      }
      node.hostname = info.hostname;
      if (JSON.stringify(Object.entries(node.labels).sort()) === JSON.stringify(Object.entries(labels).sort())) return;
      const before = node.before.filter(({ untilMs }) => untilMs > nowMs - KEEP_MS);
      node.before = [...before, { untilMs: nowMs, sinceMs: node.sinceMs, labels: node.labels }];
      node.sinceMs = nowMs;
      node.labels = labels;
      changed.add(node);
    },
    turn(id, alive) {
      const node = nodes.get(id);
      const nowMs = clock.now();
      if (node === undefined) {
        if (alive === undefined) waiting.delete(id);
        else waiting.set(id, { alive, turnedMs: waiting.get(id)?.turnedMs ?? nowMs });
        return;
      }
      if ((node.alive === undefined) !== (alive === undefined) || node.alive?.instance !== alive?.instance) node.turnedMs = nowMs;
      node.alive = alive;
    },
    get: (id) => nodes.get(id),
    at(target, dueMs) {
      const steady = select(target).filter((node) => !changed.has(node) && node.sinceMs <= dueMs);
      if (changed.size === 0) return steady;
      const others = [...changed].filter((node) => {
        const labels = labelsAt(node, dueMs);
        return labels !== undefined && matchesTarget(target, { id: node.id, labels });
      });
      return [...steady, ...others];
    },
  };
}
