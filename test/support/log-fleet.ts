/** A fleet for tests of logs: jobs that write to the end they are told, executions that are known at once, and what readers see of them. */
import { existsSync, writeFileSync } from "node:fs";
import type { LogEvent } from "fleetcron/client/logs";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { eventually, type Fleet } from "./fleet.ts";

export type LogJob = {
  readonly execution: string;
  readonly node: string;
  /** The script goes on behind its next `hold`. */
  release(): void;
};

/** Runs a script once; `hold` in it waits until the test calls `release`. */
export async function runScript(fleet: Fleet, name: string, script: string, spec: Partial<JobSpec> = {}): Promise<LogJob> {
  const gate = fleet.file(`gate-${name}`);
  const hold = `hold() { n=$((n + 1)); while [ ! -e "${gate}-$n" ]; do sleep 0.01; done; }\n`;
  await fleet.apply({
    [`logs/${name}`]: { run: { command: { script: hold + script } }, rules: [{ mode: "cycle", timer: "0 0 1 1 *" }], ...spec },
  });
  const { orders } = await fleet.api.runJob({ group: "logs", id: name }, {});
  const [order] = orders;
  if (order === undefined) throw new Error("no order");
  let released = 0;
  return {
    execution: order.execution,
    node: order.node,
    release() {
      do released++;
      while (existsSync(`${gate}-${released}`));
      writeFileSync(`${gate}-${released}`, "");
    },
  };
}

/** Resolves when the record is filed. */
export function ended(fleet: Fleet, execution: string) {
  return eventually(
    `${execution} has ended`,
    async () => {
      const found = await fleet.api.execution(execution).catch(() => undefined);
      return found?.finalAttempt === true && found;
    },
    60_000,
  );
}

/** Reads events into one buffer, as a follower would print them; `until` stops it early. */
export async function collect(
  events: AsyncIterable<LogEvent>,
  until: (text: string, event: LogEvent) => boolean = () => false,
): Promise<{ bytes: Buffer; text: string; skipped: number; lastId: string | undefined; types: string[] }> {
  const pieces: Buffer[] = [];
  let skipped = 0;
  let lastId: string | undefined;
  const types: string[] = [];
  for await (const event of events) {
    types.push(event.type);
    pieces.push(event.bytes);
    skipped += event.skipped ?? 0;
    lastId = event.id ?? lastId;
    if (until(String(event.bytes), event)) break;
  }
  const bytes = Buffer.concat(pieces);
  return { bytes, text: String(bytes), skipped, lastId, types };
}
