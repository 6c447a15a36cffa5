/** `fleetcron ssh trust` on real OpenSSH servers: shows fingerprints as ssh-keygen does, asks, pins, and refuses what has changed. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { createCli, expectRun } from "../support/cli-process.ts";
import { binOf } from "../support/daemon.ts";
import { freePort, type Sshd, sshBench } from "../support/sshd.ts";

function fingerprint(sshd: Sshd, type = "ed25519"): string {
  return execFileSync("ssh-keygen", ["-lf", join(sshd.folder, `host_${type}.pub`)], { encoding: "utf8" }).split(" ")[1] ?? "";
}

test("a new host is pinned once its fingerprint is confirmed, and known from then on", async (t) => {
  await using bench = sshBench();
  const sshd = await bench.start({ isKnown: false, keyTypes: ["ed25519", "rsa"] });
  const cli = createCli(bench.home);
  await expectRun(t, cli, ["ssh", "trust", sshd.target], {
    code: 5,
    err: /ssh-ed25519 {2}SHA256:\S+ {2}new\n[\s\S]*nobody can be asked.*\n +to do: .*--fingerprint/,
  });
  t.false(existsSync(bench.knownHosts));

  const other = `SHA256:${"A".repeat(43)}`;
  await expectRun(t, cli, ["ssh", "trust", sshd.target, "--fingerprint", other], {
    code: 5,
    err: /none of its keys has the fingerprint that was given/,
  });
  await expectRun(t, cli, ["ssh", "trust", sshd.target, "--fingerprint", "SHA256:short"], { code: 2, err: /no fingerprint/ });
  t.false(existsSync(bench.knownHosts));

  await expectRun(t, cli, ["ssh", "trust", sshd.target, "--fingerprint", fingerprint(sshd, "rsa")], {
    code: 0,
    out: new RegExp(`ssh-rsa +${escaped(fingerprint(sshd, "rsa"))} +added`),
  });
  t.is(statSync(bench.knownHosts).mode & 0o777, 0o600);
  t.is(readFileSync(bench.knownHosts, "utf8"), `[127.0.0.1]:${sshd.port} ${sshd.publicKeys[1]}\n`);
  await expectRun(t, cli, ["ssh", "trust", sshd.target, "--yes"], { code: 0, out: /ssh-ed25519 .* added[\s\S]*ssh-rsa .* known/ });
  await expectRun(t, cli, ["ssh", "trust", sshd.target], { code: 0, out: /ssh-ed25519 .* known[\s\S]*ssh-rsa .* known/ });
  const ssh = [
    "-p",
    String(sshd.port),
    "-i",
    bench.key,
    "-o",
    `UserKnownHostsFile=${bench.knownHosts}`,
    "-o",
    "BatchMode=yes",
    "127.0.0.1",
    "echo let in",
  ];
  t.is(execFileSync("ssh", ssh, { encoding: "utf8", env: { HOME: bench.home } }), "let in\n", "OpenSSH's client agrees");
});

test("a changed key is refused with both fingerprints, and replaced when that is asked for", async (t) => {
  await using bench = sshBench();
  const [before, now] = [await bench.start({ isKnown: false }), await bench.start({ isKnown: false })];
  const cli = createCli(bench.home);
  const known = join(bench.home, "known");
  writeFileSync(known, `# mine\nother,[127.0.0.1]:${now.port} ${before.publicKeys[0]}\nelse ${before.publicKeys[0]}\n`, { mode: 0o640 });
  const trust = ["ssh", "trust", now.target, "--known-hosts", "known"];
  const [old, fresh] = [fingerprint(before), fingerprint(now)];
  const both = new RegExp(
    `its key has changed: it shows the ssh-ed25519 key ${escaped(fresh)}, but \\S+known:2 has ${escaped(old)}\n +to do: .*--replace`,
  );
  const text = readFileSync(known, "utf8");
  for (const more of [[], ["--yes"], ["--fingerprint", fresh]]) await expectRun(t, cli, [...trust, ...more], { code: 4, err: both });
  t.is(readFileSync(known, "utf8"), text);
  await expectRun(t, cli, [...trust, "--replace"], { code: 5, err: /nobody can be asked/ });
  await expectRun(t, cli, [...trust, "--replace", "--yes"], { code: 0, out: /replaced/ });
  t.is(
    readFileSync(known, "utf8"),
    `# mine\nother ${before.publicKeys[0]}\nelse ${before.publicKeys[0]}\n[127.0.0.1]:${now.port} ${now.publicKeys[0]}\n`,
  );
  t.is(statSync(known).mode & 0o777, 0o640);

  writeFileSync(known, `* ${before.publicKeys[0]}\n`);
  await expectRun(t, cli, [...trust, "--replace", "--yes"], {
    code: 4,
    err: /known:1 cannot be replaced: its pattern \* is for several hosts/,
  });
  writeFileSync(known, `@revoked * ${now.publicKeys[0]}\n`);
  await expectRun(t, cli, [...trust, "--yes"], { code: 5, err: /marked @revoked/ });
});

test("an alias of the ssh config, several hosts with one out of reach, and a question on a terminal", async (t) => {
  await using bench = sshBench();
  const sshd = await bench.start({ isKnown: false });
  const cli = createCli(bench.home);
  mkdirSync(join(bench.home, ".ssh"), { recursive: true });
  writeFileSync(join(bench.home, ".ssh/config"), `Host web\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  HostKeyAlias web.example\n`);
  const nobody = `127.0.0.1:${await freePort()}`;
  const command = `${process.execPath} ${binOf("fleetcron")} ssh trust web`;
  const ask = (answer: string) => onTerminal(command, bench.home, /\(yes\/no\) /, answer);
  t.deepEqual(await ask("no"), { code: 5, asked: true });
  t.false(existsSync(bench.knownHosts));
  t.deepEqual(await ask("yes"), { code: 0, asked: true });
  t.is(readFileSync(bench.knownHosts, "utf8"), `[web.example]:${sshd.port} ${sshd.publicKeys[0]}\n`);
  const two = await expectRun(t, cli, ["ssh", "trust", nobody, "web"], {
    code: 6,
    out: /web +ssh-ed25519 .* known/,
    err: /nobody listens there/,
  });
  t.regex(two.err, /to do: /);
  await expectRun(t, cli, ["ssh", "trust", "--", "-oProxyCommand=id"], { code: 2, err: /begins with a dash/ });
});

/** Runs a command on a terminal of its own and answers its question. */
async function onTerminal(
  command: string,
  home: string,
  question: RegExp,
  answer: string,
): Promise<{ code: number | null; asked: boolean }> {
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env: { PATH: process.env.PATH, HOME: home },
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  let text = "";
  let asked = false;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    if (asked || !question.test(text)) return;
    asked = true;
    child.stdin.write(`${answer}\n`);
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, asked };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
