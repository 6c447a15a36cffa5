/** Whom the ssh runner connects to and how it logs in, against real servers. */
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { SshSpec } from "fleetcron-shared/model/runners/ssh-spec";
import { resolveHost } from "fleetcron-shared/ssh/host-config";
import { pinHostKey } from "fleetcron-shared/ssh/known-hosts-file";
import { scanHostKeys } from "fleetcron-shared/ssh/scan";
import { textOf, until } from "../support/processes.ts";
import { startPasswordServer } from "../support/ssh-server.ts";
import { type DriveOptions, openRunner, runSsh } from "../support/ssh-session.ts";
import { type SshBench, sshBench } from "../support/sshd.ts";

/** `exit:0`, or the failure's code and words. A runner of its own, so that nothing is reused. */
async function outcomeOf(
  bench: SshBench,
  spec: Partial<SshSpec> & { hosts: readonly string[] },
  options: DriveOptions = {},
): Promise<string> {
  await using runner = openRunner(bench);
  const { end } = await runSsh(bench, runner, { script: "true", ...spec }, options);
  const { outcome } = end;
  if (outcome.type === "exit") return `exit:${outcome.code}`;
  return outcome.type === "failed" ? `${outcome.code}: ${outcome.error}` : JSON.stringify(outcome);
}

test("an unknown host is refused with its fingerprint; accept-new takes it over, once and privately", async (t) => {
  await using bench = sshBench();
  const { target, folder } = await bench.start({ isKnown: false });
  const fingerprint = execFileSync("ssh-keygen", ["-lf", join(folder, "host_ed25519.pub")], { encoding: "utf8" }).split(" ")[1];
  const refused = await outcomeOf(bench, { hosts: [target] });
  t.true(refused.startsWith("ssh/hostKeyUnknown") && refused.includes(fingerprint!), refused);
  const file = join(bench.folder, "data", "known_hosts");
  t.is(textOf(file), "");
  const both = await Promise.all([1, 2].map(() => outcomeOf(bench, { hosts: [target], hostKeys: "accept-new" })));
  t.deepEqual(both, ["exit:0", "exit:0"]);
  t.is(statSync(file).mode & 0o777, 0o600);
  t.is(await outcomeOf(bench, { hosts: [target] }), "exit:0");
});

test("a changed key is refused with both fingerprints and the line, also by accept-new", async (t) => {
  await using bench = sshBench();
  const old = await bench.start();
  old.kill();
  const { target, port } = await bench.start({ port: old.port, isKnown: false });
  for (const hostKeys of ["strict", "accept-new"] as const) {
    const refused = await outcomeOf(bench, { hosts: [target], hostKeys });
    t.regex(refused, new RegExp(`^ssh/hostKeyChanged: 127.0.0.1 port ${port}: .*SHA256:\\S+, but ${bench.knownHosts}:1 has SHA256:`));
    t.is(new Set(refused.match(/SHA256:[\w+/]+/g)).size, 2);
  }
  t.is(textOf(bench.knownHosts).split("\n").length, 2);
});

test("a host that is known by keys of one type does not get in with another type", async (t) => {
  await using bench = sshBench();
  const known = await bench.start({ keyTypes: ["ecdsa", "ed25519"], isKnown: false });
  const [ecdsa] = known.publicKeys;
  bench.trust({ ...known, publicKeys: [ecdsa!] });
  // Asked for the known type, it shows it, though the other is preferred.
  t.is(await outcomeOf(bench, { hosts: [known.target] }), "exit:0");
  known.kill();
  const other = await bench.start({ port: known.port, keyTypes: ["ed25519"], isKnown: false });
  t.regex(
    await outcomeOf(bench, { hosts: [other.target], hostKeys: "accept-new" }),
    /^ssh\/hostKeyChanged: .*a ecdsa-sha2-nistp256 key|an? ecdsa/,
  );
});

test("hashed entries, @revoked, @cert-authority and a file of the job's own", async (t) => {
  await using bench = sshBench();
  const sshd = await bench.start();
  execFileSync("ssh-keygen", ["-Hf", bench.knownHosts], { stdio: "ignore" });
  t.regex(textOf(bench.knownHosts), /^\|1\|/);
  t.is(await outcomeOf(bench, { hosts: [sshd.target] }), "exit:0");
  const own = join(bench.folder, "own_hosts");
  writeFileSync(own, "");
  t.regex(await outcomeOf(bench, { hosts: [sshd.target], knownHosts: own }), /^ssh\/hostKeyUnknown/);
  appendFileSync(bench.knownHosts, `@revoked * ${sshd.publicKeys[0]}\n`);
  t.regex(await outcomeOf(bench, { hosts: [sshd.target] }), /^ssh\/hostKeyRevoked: .*known_hosts:2/);
  writeFileSync(own, `@cert-authority [127.0.0.1]:* ${sshd.publicKeys[0]}\n`);
  t.regex(await outcomeOf(bench, { hosts: [sshd.target], knownHosts: own }), /^ssh\/hostCertificate: .*own_hosts:1/);
});

test("keys: with a passphrase, a wrong one, none, open to others, missing, not accepted", async (t) => {
  await using bench = sshBench();
  const { target } = await bench.start();
  const key = bench.makeKey("locked", { passphrase: "sesame" });
  const hosts = [target];
  const secrets = { GOOD: "sesame", BAD: "simsalabim" };
  t.is(await outcomeOf(bench, { hosts, auth: { key, passphrase: "GOOD" } }, { secrets }), "exit:0");
  t.regex(
    await outcomeOf(bench, { hosts, auth: { key, passphrase: "BAD" } }, { secrets }),
    /^ssh\/key: .*locked cannot be opened with the passphrase(?!.*simsalabim)/,
  );
  t.regex(await outcomeOf(bench, { hosts, auth: { key } }), /^ssh\/key: .*encrypted, and no passphrase/);
  chmodSync(key, 0o640);
  t.regex(await outcomeOf(bench, { hosts, auth: { key, passphrase: "GOOD" } }, { secrets }), /^ssh\/key: .*mode 0640.*chmod 600/);
  t.regex(await outcomeOf(bench, { hosts, auth: { key: "/no/key" } }), /^ssh\/key: .*ENOENT/);
  const stranger = bench.makeKey("stranger", { authorize: false });
  t.regex(await outcomeOf(bench, { hosts, auth: { key: stranger } }), /^ssh\/auth: .*takes publickey.*tried: the key \S+stranger/);
});

test("an ssh-agent holds the key", async (t) => {
  await using bench = sshBench();
  const { target } = await bench.start();
  const key = bench.makeKey("in-agent");
  const agentSocket = join(bench.folder, "agent");
  const agent = spawn("ssh-agent", ["-D", "-a", agentSocket], { stdio: "ignore" });
  t.teardown(() => agent.kill());
  await until("the agent listens", () => statSync(agentSocket, { throwIfNoEntry: false })?.isSocket());
  execFileSync("ssh-add", ["-q", key], { env: { SSH_AUTH_SOCK: agentSocket }, stdio: "ignore" });
  const withAgent = { ...bench, environment: { ...bench.environment, agentSocket } };
  t.is(await outcomeOf(withAgent, { hosts: [target], auth: { agent: true } }), "exit:0");
  t.regex(await outcomeOf(bench, { hosts: [target], auth: { agent: true } }), /^ssh\/auth: .*SSH_AUTH_SOCK/);
  const dead = { ...bench, environment: { ...bench.environment, agentSocket: join(bench.folder, "dead") } };
  t.regex(await outcomeOf(dead, { hosts: [target], auth: { agent: true } }), /^ssh\/auth: .*the ssh-agent cannot be used/);
});

for (const method of ["password", "keyboard-interactive"] as const)
  test(`a password, by ${method}`, async (t) => {
    await using bench = sshBench();
    const hostKey = bench.makeKey("host", { authorize: false });
    await using server = await startPasswordServer({ hostKey, password: "pass'word", method });
    bench.trust({ address: "127.0.0.1", port: server.port, publicKeys: [textOf(`${hostKey}.pub`).trim()] });
    const spec = { hosts: [`127.0.0.1:${server.port}`], auth: { password: "PW" } };
    t.is(await outcomeOf(bench, spec, { secrets: { PW: "pass'word" } }), "exit:0");
    const wrong = await outcomeOf(bench, spec, { secrets: { PW: "guess me" } });
    t.regex(wrong, /^ssh\/auth: .*tried: the password/);
    t.notRegex(wrong, /guess/);
  });

test("aliases of the ssh config, and jump hosts, each with its key checked", async (t) => {
  await using bench = sshBench();
  const [target, jump, other] = [await bench.start(), await bench.start(), await bench.start({ isKnown: false })];
  const host = (name: string, { port }: { port: number }, more = "") => `Host ${name}\n  HostName 127.0.0.1\n  Port ${port}\n  ${more}\n`;
  mkdirSync(join(bench.home, ".ssh"), { recursive: true });
  writeFileSync(
    join(bench.home, ".ssh", "config"),
    host("plain", target) +
      host("first", jump) +
      host("second", jump, "ProxyJump first") +
      host("behind", target, "ProxyJump second") +
      host("stranger", other) +
      host("bad", target, "ProxyJump stranger"),
  );
  t.is(await outcomeOf(bench, { hosts: ["plain"] }), "exit:0");
  t.is(await outcomeOf(bench, { hosts: ["behind"], script: `case $SSH_CONNECTION in *" ${target.port}") exit 7;; esac` }), "exit:7");
  t.true(jump.log().split("Accepted publickey").length > 2, "both hops went over the jump host");
  t.regex(await outcomeOf(bench, { hosts: ["bad"] }), /^ssh\/hostKeyUnknown: jump host stranger: /);
  jump.kill();
  await until("the jump host is gone", () => jump.pids().length === 0);
  t.regex(await outcomeOf(bench, { hosts: ["behind"] }), /"unreachable".*refused/);
});

test("hostile names and configs are refused, and nothing is executed", async (t) => {
  await using bench = sshBench();
  const owned = join(bench.folder, "owned");
  writeFileSync(
    join(bench.home, ".ssh", "config"),
    `Host proxied\n  ProxyCommand touch ${owned}\nMatch host execd exec "touch ${owned}"\n  User x\nHost odd\n  HostName -oProxyCommand=x\n`,
  );
  for (const host of [
    `-oProxyCommand=touch ${owned}`,
    `x@-oProxyCommand=y`,
    "a b",
    "$(id)",
    "h:99999",
    "-l@host",
    "host;id",
    "proxied",
    "execd",
    "odd",
    "[::1",
  ])
    t.regex(await outcomeOf(bench, { hosts: [host] }), /^ssh\/config: /, host);
  t.is(statSync(owned, { throwIfNoEntry: false }), undefined);
});

test("what is no SSH server, or runs no commands, is said", async (t) => {
  await using bench = sshBench();
  const http = createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.teardown(() => http.close());
  t.regex(await outcomeOf(bench, { hosts: [`127.0.0.1:${(http.address() as { port: number }).port}`] }), /^ssh\/protocol: .*HTTP\/1.1 400/);
  const nologin = await bench.start({ config: ["ForceCommand echo This account is closed.; exit 1"] });
  t.regex(await outcomeOf(bench, { hosts: [nologin.target] }), /^ssh\/noShell: .*This account is closed/);
  const chatty = await bench.start({ config: ['ForceCommand echo "hello, @dear user"; echo warning >&2; eval "$SSH_ORIGINAL_COMMAND"'] });
  t.is(await outcomeOf(bench, { hosts: [chatty.target] }), "exit:0");
});

test("a scan shows the keys of all types, which can then be pinned", async (t) => {
  await using bench = sshBench();
  const sshd = await bench.start({ keyTypes: ["ed25519", "ecdsa", "rsa"], isKnown: false });
  const config = resolveHost(bench.environment, sshd.target);
  const keys = await scanHostKeys({ clock: systemClock, environment: bench.environment }, config);
  t.deepEqual(
    keys.map(({ type, base64 }) => `${type} ${base64}`),
    sshd.publicKeys,
  );
  for (const key of keys) t.deepEqual(pinHostKey(bench.knownHosts, config.keyName, config.port, key), { type: "known" });
  t.is(readFileSync(bench.knownHosts, "utf8").split("\n").length, 4);
  t.is(await outcomeOf(bench, { hosts: [sshd.target] }), "exit:0");
});
