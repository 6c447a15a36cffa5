/** Consecutive ticks of a rule (and node) that share a fate are told in one finding. Pure. */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import type { Finding, FindingKind, Target } from "fleetcron-shared/check/history";
import { tickWords } from "fleetcron-shared/check/words";

/** What became of a tick that is to be told; undefined: nothing. */
export type Fate = { readonly kind: FindingKind & ("silent" | "missed" | "lost"); readonly words: string };

export type TickFinding = Finding & { readonly dueUntilMs?: EpochMs; readonly ticks?: number; readonly node?: string };

type Streak = { readonly first: Target; readonly fate: Fate; lastMs: EpochMs; count: number };

/** Takes the targets of one job in the order of their due times. */
export function createStreaks(): { add(target: Target, fate: Fate | undefined): void; findings(): TickFinding[] } {
  const open = new Map<string, Streak>();
  const done: Streak[] = [];
  return {
    add(target, fate) {
      const place = `${target.rule} ${target.node ?? ""}`;
      const held = open.get(place);
      if (held !== undefined && fate !== undefined && held.fate.kind === fate.kind && held.fate.words === fate.words) {
        held.lastMs = target.dueMs;
        held.count += 1;
        return;
      }
      if (held !== undefined) done.push(held);
      if (fate === undefined) open.delete(place);
      else open.set(place, { first: target, fate, lastMs: target.dueMs, count: 1 });
    },
    findings: () => [...done, ...open.values()].map(toFinding),
  };
}

function toFinding({ first, fate, lastMs, count }: Streak): TickFinding {
  const { job, rule, dueMs, node } = first;
  const about = `(rule ${rule}${node === undefined ? "" : `, node ${node}`})`;
  const which = count === 1 ? tickWords(first) : `${count} ticks in a row, from ${toIso(dueMs)} to ${toIso(lastMs)} ${about}`;
  return {
    ...{ kind: fate.kind, job, rule, dueMs, text: `${job}: ${which}: ${fate.words}` },
    ...(count === 1 ? {} : { dueUntilMs: lastMs, ticks: count }),
    ...(node === undefined ? {} : { node }),
  };
}
