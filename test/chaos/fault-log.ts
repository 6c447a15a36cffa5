/** What the harness did, and when: one JSON line each, kept with the evidence. What verdicts are explained by. */
import { appendFileSync } from "node:fs";
import { type EpochMs, systemClock } from "fleetcron-shared/base/clock";

/** One fault on what it touches, from its injection to the end of its heal (`untilMs` absent: it is on). */
export type Stretch = {
  readonly fault: string;
  /** Hosts: `a1` … `m1` … `e1` … */
  readonly touches: readonly string[];
  readonly detail: string;
  readonly fromMs: EpochMs;
  readonly untilMs?: EpochMs;
};

export type FaultLog = {
  readonly file: string;
  stretches(): readonly Stretch[];
  /** A fault begins; the returned function notes its end. */
  begin(fault: string, touches: readonly string[], detail: string): () => void;
  /** Something that the checker need not know, for people. */
  note(what: string, about?: object): void;
};

export function openFaultLog(file: string): FaultLog {
  const all: { -readonly [K in keyof Stretch]: Stretch[K] }[] = [];
  const write = (line: object) => appendFileSync(file, `${JSON.stringify(line)}\n`);
  return {
    file,
    stretches: () => all,
    begin(fault, touches, detail) {
      const stretch: (typeof all)[number] = { fault, touches, detail, fromMs: systemClock.now() };
      all.push(stretch);
      write({ at: new Date(stretch.fromMs).toISOString(), fault, target: touches.join(","), detail, event: "inject" });
      return () => {
        stretch.untilMs = systemClock.now();
        write({ at: new Date(stretch.untilMs).toISOString(), fault, target: touches.join(","), event: "heal" });
      };
    },
    note: (what, about = {}) => write({ at: new Date(systemClock.now()).toISOString(), event: what, ...about }),
  };
}
