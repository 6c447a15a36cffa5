/**
 * The programs that run on the host, in each shell that a host may have as its sh, without a server between. One test at a time: they use the same
 * names for what would be different executions, and an execution is ended by its name.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import {
  goOnProgram,
  killProgram,
  removeProgram,
  startProgram,
  type WrappedCommand,
  type WrapperContext,
} from "../../packages/agent/src/runners/ssh/wrapper.ts";
import { isAlive, tempFolder, textOf, until } from "../support/processes.ts";

const SHELLS = [["/bin/dash"], ["/bin/bash"], ["/bin/busybox", "ash"]].filter(([path]) => existsSync(path ?? ""));

async function run(shell: readonly string[], program: string): Promise<{ out: string; told: string }> {
  const child = spawn(shell[0]!, [...shell.slice(1), "-c", 'eval "$(cat)"'], { stdio: "pipe" });
  let [out, told] = ["", ""];
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    told += data;
  });
  child.stdin.end(program);
  await new Promise((resolve) => child.once("close", resolve));
  return { out: out.replace("@n out\n", ""), told };
}

function command(script: string, more: Partial<WrappedCommand> = {}): WrappedCommand {
  return { spec: { script }, env: {}, timeoutMs: 60_000, killGraceMs: 1000, errorsApart: false, ...more };
}

for (const shell of SHELLS) {
  const name = shell.join(" ");
  const contextOf = (folder: string, id: string): WrapperContext => ({ nonce: "n", id, shell: name, bases: [folder] });

  test.serial(`${name}: runs, tells the exit, goes on from an offset, removes`, async (t) => {
    using temp = tempFolder();
    const context = contextOf(temp.path, "a");
    const quoted = `it's "$(x)" \\ \n end`;
    const ran = await run(
      shell,
      startProgram(
        context,
        command('cat; echo "$A"; exit 9', { spec: { script: 'cat; printf %s "$A"; exit 9', stdin: quoted }, env: { A: quoted } }),
      ),
    );
    t.is(ran.out, quoted + quoted);
    t.regex(ran.told, /@n end \d+ \d+ 0 38 \[1\].*(Done|Exit)\(?.?9/);
    t.is((await run(shell, goOnProgram(context, 10))).out, (quoted + quoted).slice(10));
    // Begun is begun: a second start only looks on.
    t.is((await run(shell, startProgram(context, command("echo twice")))).out, quoted + quoted);
    t.regex((await run(shell, removeProgram(context))).told, /removed/);
    t.false(existsSync(join(temp.path, `fleetcron-${process.getuid?.()}`, "a")));
  });

  test.serial(`${name}: a signal is not an exit code, and SIGINT works`, async (t) => {
    using temp = tempFolder();
    const told = async (id: string, script: string) => (await run(shell, startProgram(contextOf(temp.path, id), command(script)))).told;
    t.regex(await told("term", "kill -TERM $$"), /Terminated/);
    t.regex(await told("143", "exit 143"), /(Done|Exit)\(?.?143/);
    t.regex(await told("stop", "(sleep 0.3; kill -CONT $$) & kill -STOP $$; exit 4"), /(Done|Exit)\(?.?4/);
  });

  test.serial(`${name}: the deadline ends the tree`, async (t) => {
    using temp = tempFolder();
    const script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & echo $$; while :; do sleep 1; done";
    const ran = await run(shell, startProgram(contextOf(temp.path, "a"), command(script, { timeoutMs: 1, killGraceMs: 1 })));
    t.regex(ran.told, /@n end \d+ \d+ 1 .*Killed/);
    const pids = ran.out.trim().split("\n").map(Number);
    t.is(pids.length, 2);
    await until("the tree is gone", () => !pids.some(isAlive));
  });

  test.serial(`${name}: KILL leaves nothing, and a bystander alone`, async (t) => {
    using temp = tempFolder();
    const context = contextOf(temp.path, "a");
    const other = contextOf(temp.path, "a1");
    const endless = "setsid sleep 1000 & echo $!; echo $$; exec sleep 1000";
    const runs = [context, other].map((each) => run(shell, startProgram(each, command(endless))));
    const pidsOf = (id: string) =>
      textOf(join(temp.path, `fleetcron-${process.getuid?.()}`, id, "out"))
        .trim()
        .split("\n")
        .map(Number);
    await until("both run", () => pidsOf("a").length === 2 && pidsOf("a1").length === 2);
    const [mine, others] = [pidsOf("a"), pidsOf("a1")];
    await run(shell, killProgram(context, "KILL"));
    t.false(mine.some(isAlive));
    t.true(others.every(isAlive));
    await run(shell, killProgram(other, "KILL"));
    t.regex((await Promise.all(runs)).map(({ told }) => told).join(""), /Killed[\s\S]*Killed/);
  });
}

test.serial("a folder that is somebody else's, a link, or open to others is not used", async (t) => {
  using temp = tempFolder();
  const uid = process.getuid?.();
  const [open, linked, good] = ["open", "linked", "good"].map((name) => join(temp.path, name)) as [string, string, string];
  for (const base of [open, linked, good]) mkdirSync(base);
  mkdirSync(join(open, `fleetcron-${uid}`), { mode: 0o755 });
  mkdirSync(join(temp.path, "elsewhere"), { mode: 0o700 });
  symlinkSync(join(temp.path, "elsewhere"), join(linked, `fleetcron-${uid}`));
  const context = (bases: string[]): WrapperContext => ({ nonce: "n", id: "a", shell: "/bin/sh", bases });
  const refused = await run(["/bin/sh"], startProgram(context([open, linked]), command("echo ran")));
  t.regex(refused.told, /@n cannot .*open\/fleetcron-\d+ is not a folder of mode 0700.*linked\/fleetcron/);
  t.is(refused.out, "");
  const ran = await run(["/bin/sh"], startProgram(context([open, linked, good]), command("echo ran")));
  t.is(ran.out, "ran\n");
});

test.serial("a start that comes after the agent gave up does nothing", async (t) => {
  using temp = tempFolder();
  const context: WrapperContext = { nonce: "n", id: "a", shell: "/bin/sh", bases: [temp.path] };
  t.is((await run(["/bin/sh"], goOnProgram(context, 0))).told, "@n none\n");
  const late = await run(["/bin/sh"], startProgram(context, command(`echo ran > ${temp.file("ran")}`)));
  t.is(late.told, "@n none\n");
  t.false(existsSync(temp.file("ran")));
});

test.serial("a host that was started again is told from a keeper that was killed", async (t) => {
  using temp = tempFolder();
  const context: WrapperContext = { nonce: "n", id: "a", shell: "/bin/sh", bases: [temp.path] };
  await run(["/bin/sh"], startProgram(context, command("true")));
  const folder = join(temp.path, `fleetcron-${process.getuid?.()}`, "a");
  rmSync(join(folder, "status"));
  t.regex((await run(["/bin/sh"], goOnProgram(context, 0))).told, /@n gone session/);
  writeFileSync(join(folder, "keeper"), "1 1 another-boot\n");
  t.regex((await run(["/bin/sh"], goOnProgram(context, 0))).told, /@n gone reboot/);
});
