/** What benchmarks run on: `fleetcron up` as a user starts it (etcd on disk, one master, one agent), C programs compiled on the spot, stamps. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ApiClient, createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import type { Kv } from "fleetcron-shared/store/kv";
import { startDaemon } from "../support/daemon.ts";
import { eventually } from "../support/fleet.ts";
import { textOf } from "../support/processes.ts";

/** One line of the stamp program: when its process began, for which tick, and its label. Times in milliseconds with fractions. */
export type Stamp = { readonly atMs: number; readonly dueMs: number; readonly label: string };

export type BenchFleet = {
  readonly api: ApiClient;
  readonly kv: Kv;
  readonly etcd: string;
  readonly folder: string;
  readonly stamp: string;
  readonly spawnLoop: string;
  /** A job that stamps `file`. */
  stampJob(file: string, label: string, timer?: string): JobSpec;
  stamps(file: string): Stamp[];
  apply(jobs: Readonly<Record<string, JobSpec>>): Promise<void>;
  removeAll(): Promise<void>;
  agentPid(): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startBenchFleet(): Promise<BenchFleet> {
  const folder = mkdtempSync(join(tmpdir(), "fleetcron-bench-"));
  const stamp = compile(folder, "stamp", ["-static"]);
  const spawnLoop = compile(folder, "spawn-loop");
  const up = await startDaemon({
    program: "fleetcron",
    name: "up",
    folder,
    args: ["up", "--agents", "1", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "up")],
  });
  const { url, token, etcd } = up.ready as { url: string; token: string; etcd: string | readonly string[] };
  const endpoint = typeof etcd === "string" ? etcd : (etcd[0] ?? "");
  const kv = openEtcdKv({ endpoints: [endpoint] }, { clock: systemClock });
  const api = createApiClient(createRest({ clock: systemClock, fetch }, { server: url, token }));
  const apply: BenchFleet["apply"] = async (jobs) => {
    await api.apply({ files: [{ name: "bench.json", text: JSON.stringify({ jobs }) }] });
  };
  return {
    api,
    kv,
    etcd: endpoint,
    folder,
    stamp,
    spawnLoop,
    stampJob: (file, label, timer) => ({
      run: { command: { argv: [stamp, join(folder, file), label], cwd: "/" } },
      rules: [timer === undefined ? { mode: "cycle", timer: "0 0 1 1 *" } : { mode: "cycle", timer }],
      overlap: "allow",
      parallel: 100,
    }),
    stamps: (file) => parseStamps(textOf(join(folder, file))),
    apply,
    async removeAll() {
      const { items } = await api.jobs({ limit: 1000 });
      for (const { group, id } of items) await api.deleteJob({ group, id });
      await eventually(
        "no dispatch is left",
        async () => (await kv.range({ start: "/fleetcron/dispatch/", end: "/fleetcron/dispatch0", countOnly: true })).count === 0,
      );
    },
    async agentPid() {
      const { items } = await api.nodes({});
      return items[0]?.pid ?? -1;
    },
    async [Symbol.asyncDispose]() {
      await kv.close();
      await up.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A program of `c/`, compiled into `folder`; its path. */
export function compile(folder: string, name: string, flags: readonly string[] = []): string {
  const out = join(folder, name);
  execFileSync("cc", ["-O2", ...flags, "-o", out, fileURLToPath(new URL(`c/${name}.c`, import.meta.url))]);
  return out;
}

function parseStamps(text: string): Stamp[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [at = "", due = "", label = ""] = line.split(" ");
      return { atMs: Number(at) * 1000, dueMs: Date.parse(due), label };
    });
}

/** The value below which the share `q` of `values` lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Resident memory of a process, in MB. */
export function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1000;
}
