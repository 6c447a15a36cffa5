/** How an agent starts and ends: what it refuses, in which words and with which exit code, what it survives, and that it always ends when it is told to. */

import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { startAgentBench, words } from "../support/agent-bench.ts";
import { binOf } from "../support/daemon.ts";
import { freePorts } from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";
import { tempFolder } from "../support/processes.ts";

type Ended = { readonly code: number | null; readonly text: string; readonly ms: number };

/** Runs an agent that is expected to end by itself; it is killed after `limitMs`. */
function tryAgent(args: readonly string[], options: { uid?: number; limitMs?: number } = {}): Promise<Ended> {
  const startedMono = systemClock.mono();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [binOf("fleetcron-agent"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    const cancel = systemClock.after(options.limitMs ?? 20_000, () => child.kill("SIGKILL"));
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += String(data)));
    child.once("close", (code) => {
      cancel();
      resolve({ code, text, ms: systemClock.mono() - startedMono });
    });
  });
}

test("wrong settings and unusable data folders: exit 2 and what to do", async (t) => {
  t.timeout(60_000);
  using temp = tempFolder();
  const file = temp.file("a-file");
  writeFileSync(file, "");
  const cases: [readonly string[], RegExp][] = [
    [["--capacity", "0"], /capacity/],
    [["--session-ttl", "soon"], /duration/],
    [["--node-id", "a/b"], /letters, digits/],
    [["--no-such-flag"], /unknown option/],
    [["--data-dir", file], /data folder .*a-file cannot be used.*--data-dir/s],
    [["--data-dir", "/proc/x/y"], /data folder \/proc\/x\/y cannot be used/],
    [["--config", temp.file("missing.yaml")], /missing\.yaml/],
  ];
  for (const [args, expected] of cases) {
    const ended = await tryAgent(args);
    t.is(ended.code, 2, `${args.join(" ")}: ${ended.text}`);
    t.regex(ended.text, expected);
    t.notRegex(ended.text, /\n\s+at /, "no stack");
  }
  if (process.getuid?.() === 0) {
    const closed = temp.file("closed");
    mkdirSync(closed, { mode: 0o700 });
    chmodSync(temp.path, 0o755);
    const ended = await tryAgent(["--data-dir", closed], { uid: 65534 });
    t.is(ended.code, 2, ended.text);
    t.regex(ended.text, /EACCES|permission/i);
  }
});

test("--config names the file, --print-config shows what is in force", async (t) => {
  using temp = tempFolder();
  const file = temp.file("agent.yaml");
  writeFileSync(file, "nodeId: from-the-file\n");
  const { code, text } = await tryAgent(["--config", file, "--print-config"]);
  t.deepEqual([code, /^nodeId: from-the-file$/m.test(text)], [0, true], text);
});

test("no etcd, one that never answers, and one with a wrong certificate: exit 6 within seconds", async (t) => {
  t.timeout(60_000);
  using temp = tempFolder();
  const [free = 0] = await freePorts(1);
  const [key, cert, other] = [temp.file("key.pem"), temp.file("cert.pem"), temp.file("other.pem")];
  for (const out of [cert, other]) {
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"];
    execFileSync("openssl", [...args, "-keyout", out === cert ? key : temp.file("other.key"), "-out", out, "-days", "2"], {
      stdio: "ignore",
    });
  }
  const silent = await listening(createServer(() => {}));
  const tls = await listening(createTlsServer({ key: readFileSync(key), cert: readFileSync(cert), ALPNProtocols: ["h2"] }));
  const cases: [string, readonly string[], RegExp][] = [
    [`http://127.0.0.1:${free}`, [], /127\.0\.0\.1/],
    [`http://127.0.0.1:${portOf(silent)}`, [], /127\.0\.0\.1/],
    [`https://127.0.0.1:${portOf(tls)}`, ["--etcd-ca", other], /certificate/],
  ];
  for (const [endpoint, args, expected] of cases) {
    const ended = await tryAgent(["--etcd", endpoint, "--data-dir", temp.file("data"), ...args]);
    t.is(ended.code, 6, `${endpoint}: ${ended.text}`);
    t.true(ended.ms < 15_000);
    const said = ended.text
      .split("\n")
      .filter((line) => line.startsWith("fleetcron-agent: "))
      .join("\n");
    t.regex(said, expected, ended.text);
  }
  silent.close();
  tls.close();
});

async function listening<T extends Server>(server: T): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

test("two agents on one data folder: the second is refused; after SIGKILL the same folder takes over at once", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ args: ["--session-ttl", "30s"] });
  const ended = await tryAgent(["--etcd", bench.etcd.endpoint, "--node-id", "n2", "--data-dir", bench.file("data-n1")]);
  t.is(ended.code, 2);
  t.regex(ended.text, /another agent is using the data folder/);
  const before = await bench.alive("n1");
  await bench.agent("n1").kill();
  const killedMono = systemClock.mono();
  await bench.agent("n1").restart();
  t.true(systemClock.mono() - killedMono < 20_000, "it did not wait for its former session to expire");
  t.not((await bench.alive("n1"))?.instance, before?.instance);
});

test("an unreadable dispatch or order is logged and does not disturb the others", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  await bench.put(bench.keys.dispatch("n1", "t", "broken"), "this is not JSON");
  await bench.dispatch("n1", "t/odd", { rules: [{ mode: "cycle", timer: "every now and then" }] });
  await bench.put(bench.keys.order("n1", "o1"), "{");
  await bench.dispatch("n1", "t/good", {});
  await eventually("the good one runs", async () => (await bench.records("t/good")).some((record) => record.success));
  await bench.agent("n1").restart();
  const afterMs = systemClock.now();
  await eventually("also after a restart", async () =>
    (await bench.records("t/good")).some((record) => record.success && Date.parse(record.dueAt ?? "") > afterMs),
  );
  for (const name of ["t/broken", "t/odd", "orders/n1/o1"]) t.regex(bench.agent("n1").log(), new RegExp(name));
});

test("SIGTERM ends it with exit 0, whatever it is at, and the next one goes on with that: running, queued, waiting for a retry, for a lock", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: [], args: ["--capacity", "2", "--session-ttl", "30s"] });
  await using link = await startFaultProxy(bench.etcd.port);
  await bench.add("n1", { endpoint: link.endpoint });
  const command = (script: string) => ({ run: { command: { script } } });
  await bench.run("n1", "t/retry", { ...command("exit 1"), retry: { limit: 1, delay: "1h" } });
  await bench.run("n1", "t/running", command("sleep 60"));
  await bench.run("n1", "t/alone", { ...command("sleep 60"), kind: "alone", overlap: "queue" });
  await eventually("two run", async () => (await bench.onHand("n1")) === 3 && (await bench.procs("n1")).length === 2);
  await bench.run("n1", "t/alone", { ...command("sleep 60"), kind: "alone", overlap: "queue" });
  await bench.run("n1", "t/queued", command("sleep 60"));
  await eventually("the others wait", async () => (await bench.onHand("n1")) === 5);
  t.is(await bench.agent("n1").stop(), 0);
  t.is(await bench.alive("n1"), undefined, "it said goodbye");
  await bench.agent("n1").restart();
  await eventually("all are back", async () => (await bench.onHand("n1")) === 5);
  const procs = await bench.procs("n1");
  t.deepEqual((await bench.records()).map(words), ["1… exit:1"], "nothing was lost, nothing ran again");
  t.is(procs.filter(({ pid }) => pid > 0).length, 2);
  await eventually("what waited for a slot or the lock has its turn, too", async () => {
    for (const { execution, pid } of await bench.procs("n1")) if (pid > 0) await bench.kill("n1", execution);
    return (await bench.records()).filter(({ outcome }) => outcome.type === "killed").length === 4;
  });
  await bench.dispatch("n1", "t/int", { kind: "interval", run: { command: { script: "true" } } });
  await eventually("ticks run", async () => (await bench.records("t/int")).some((record) => record.success));
  link.cut();
  await systemClock.sleep(3000);
  const stoppingMono = systemClock.mono();
  t.is(await bench.agent("n1").stop(), 0);
  t.true(systemClock.mono() - stoppingMono < 10_000);
});
