/** `scripts/quickstart` itself, as a newcomer runs it: it shows what it promises, counts nothing missed or doubled, and leaves nothing behind, also when it is interrupted. */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { isAlive, tempFolder, textOf, until } from "../support/processes.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/quickstart", import.meta.url));
/** README promises a minute; machines of tests are slow. */
const LIMIT_MS = 150_000;

/** Starts it with a folder of its own for all that it writes. */
function start(args: readonly string[], tmp: string) {
  const child = spawn(SCRIPT, args, { env: { ...process.env, TMPDIR: tmp }, stdio: ["ignore", "pipe", "pipe"], timeout: LIMIT_MS });
  const onExit = () => child.kill("SIGTERM");
  process.once("exit", onExit);
  const text = { out: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text.out += chunk;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve)).finally(() => process.off("exit", onExit));
  return { child, ended, out: () => text.out };
}

/** Living processes whose command line names the folder. */
const left = (tmp: string) =>
  readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && isAlive(Number(pid)) && textOf(`/proc/${pid}/cmdline`).includes(tmp));

test.serial("the whole tour", async (t) => {
  t.timeout(LIMIT_MS + 20_000);
  using folder = tempFolder();
  const began = systemClock.mono();
  const tour = start([], folder.path);
  const code = await tour.ended;
  const text = tour.out();
  t.is(code, 0, text);
  t.regex(text, /ready: 3 agents \(.*\), REST at http:\/\/127\.0\.0\.1:\d+, etcd at http:\/\/127\.0\.0\.1:\d+/);
  t.regex(text, /\d+ jobs are taken over by every node/);
  const [, due = "", fired = "", missing, duplicates] = /│ all +│ +│ (\d+) +│ (\d+) +│ \d+ +│ (\d+) +│ (\d+) +│/.exec(text) ?? [];
  t.true(Number(due) > 30 && Number(fired) > 30, text);
  t.deepEqual([missing, duplicates], ["0", "0"], text);
  for (const words of ["to approve task deploy", "to confirm task deploy", "demo/release succeeded"])
    t.true(text.includes(words) && /✉ to the webhook: /.test(text), `${words}\n${text}`);
  t.regex(text, /"v":1,"node":/, "a claim, as etcdctl shows it");
  t.regex(text, /Everything is stopped and removed/);
  t.notRegex(text, /FAILED/);
  t.deepEqual(left(folder.path), []);
  t.deepEqual(readdirSync(folder.path), [], "nothing is left");
  t.log(`${Math.round((systemClock.mono() - began) / 1000)} s, ${due} due, ${fired} fired`);
});

test.serial("interrupted in the middle, it leaves nothing", async (t) => {
  t.timeout(LIMIT_MS);
  using folder = tempFolder();
  const tour = start([], folder.path);
  await until("runs are shown", () => /Runs by due second/.test(tour.out()), 60_000);
  t.true(left(folder.path).length > 3);
  tour.child.kill("SIGINT");
  t.is(await tour.ended, 130, tour.out());
  t.deepEqual(left(folder.path), []);
  t.deepEqual(readdirSync(folder.path), []);
});
