/** Ten thousand jobs in one apply: everybody else is still answered promptly, and the master that checks and writes them goes on leading. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys } from "../support/fake-agent.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { tempFolder } from "../support/processes.ts";

const JOBS = 10_000;
/** Measured: about 60 ms when the machine has nothing else to do. */
const LIMIT_MS = 400;

/** About 400 bytes of YAML. */
const jobYaml = (n: number) => `  big/job-${n}:
    name: job number ${n}
    description: one of very many jobs, with a description long enough that a file of ten thousand of them has four megabytes
    kind: ${n % 2 === 0 ? "common" : "interval"}
    run:
      command: { script: "test -d /srv/data-${n} && find /srv/data-${n} -type f -mtime +30 -delete", cwd: /srv }
    rules:
      - { mode: cycle, timer: "${n % 60} ${n % 24} * * ${n % 7}", timezone: Europe/Berlin, target: { labels: { role: worker } } }
    timeout: 1h
`;

/** The request in another process, so that making and reading its megabytes does not disturb the probes here. Resolves with the status. */
async function applyElsewhere(master: MasterProcess, bodyFile: string): Promise<string> {
  const script = `const [url, token, file] = process.argv.slice(1);
    const body = require("node:fs").readFileSync(file);
    const headers = { "content-type": "application/json", authorization: "Bearer " + token };
    fetch(url, { method: "POST", headers, body }).then(async (answer) => {
      const { changes } = await answer.json();
      console.log(answer.status, changes?.length, changes?.filter(({ action }) => action === "created").length);
    });`;
  const child = spawn(process.execPath, ["-e", script, `${master.url}/api/v1/apply`, master.token, bodyFile], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await new Promise((resolve) => child.once("close", resolve));
  return text.trim();
}

test("ten thousand jobs in one apply hold nobody up", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  using folder = tempFolder();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await joinFleet(kv, "a", { role: "worker" });
  const probe = { name: "probe.yaml", text: 'jobs:\n  g/probe: { run: { command: { script: "true" } }, rules: [{ mode: manyonce }] }\n' };
  t.is((await master.ask("POST", "/apply", { files: [probe] })).status, 200);
  const text = `jobs:\n${Array.from({ length: JOBS }, (_, n) => jobYaml(n)).join("")}`;
  writeFileSync(folder.file("body"), JSON.stringify({ files: [{ name: "big.yaml", text }] }));
  const term = (await kv.get(keys.leader))?.createRevision;

  const slowest = { run: 0, health: 0, probes: 0 };
  const timed = async (what: "run" | "health", ask: () => Promise<unknown>) => {
    const from = systemClock.mono();
    await ask();
    slowest[what] = Math.max(slowest[what], systemClock.mono() - from);
  };
  const from = systemClock.mono();
  for (const wait = { over: false, first: applyElsewhere(master, folder.file("body")) }; !wait.over; ) {
    wait.over = await Promise.race([
      wait.first.then((answer) => {
        t.is(answer, `200 ${JOBS} ${JOBS}`);
        return true;
      }),
      systemClock.sleep(100).then(() => false),
    ]);
    await Promise.all([
      timed("run", async () => t.is((await master.ask("POST", "/jobs/g/probe/run")).status, 200)),
      timed("health", async () => t.is((await fetch(`${master.url}/healthz`)).status, 200)),
    ]);
    slowest.probes += 1;
  }
  t.log(`${(text.length / 2 ** 20).toFixed(1)} MiB in ${Math.round(systemClock.mono() - from)} ms; slowest of ${slowest.probes}:`, slowest);
  t.true(slowest.probes > 5);
  t.true(slowest.run < LIMIT_MS && slowest.health < LIMIT_MS, JSON.stringify(slowest));
  t.is((await kv.get(keys.leader))?.createRevision, term, "the same master leads, without a gap");
  await kv.close();
});
