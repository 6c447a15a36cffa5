/** A worker thread that simulates one world after the other and says what became of each. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parentPort } from "node:worker_threads";
import { judge } from "./judge.ts";
import type { SabotageName } from "./sabotage.ts";
import { simulate } from "./world.ts";

export type Task = { readonly seed: number; readonly hours: number; readonly sabotage: SabotageName };
export type Report = {
  readonly seed: number;
  readonly fleetHours: number;
  readonly runs: number;
  readonly troubles: number;
  readonly events: number;
  readonly digest: string;
  readonly findings: readonly { readonly kind: string; readonly text: string }[];
  readonly uncovered: readonly string[];
};

/** What a world says in short. */
export async function reportOf(task: Task, folder: string, trace?: (line: string) => void): Promise<Report> {
  const end = await simulate({ ...task, folder, ...(trace === undefined ? {} : { trace }) });
  const { seed, fleetHours, runs, troubles, events, digest } = end;
  return { seed, fleetHours, runs, troubles, events, digest, ...judge(end) };
}

const MEMORY = "/dev/shm";

/** A folder in memory where there is one. */
export function makeFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "fleetcron-simulation-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

if (parentPort !== null) {
  const port = parentPort;
  // Nobody looks at where errors come from, and there are many.
  Error.stackTraceLimit = 0;
  const folder = makeFolder();
  port.on("message", (task: Task | "end") => {
    if (task !== "end") return void reportOf(task, folder.path).then((report) => port.postMessage(report));
    folder.remove();
    port.close();
  });
}
