import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { SshEnvironment } from "./environment.ts";
import { resolveHost } from "./host-config.ts";

function environmentOf(t: ExecutionContext, config: string, system = ""): SshEnvironment {
  const home = mkdtempSync(join(tmpdir(), "fleetcron-ssh-config-"));
  t.teardown(() => rmSync(home, { recursive: true }));
  for (const folder of [".ssh", "etc", "etc/ssh_config.d"]) mkdirSync(join(home, folder));
  writeFileSync(join(home, ".ssh/config"), config);
  writeFileSync(join(home, "etc/ssh_config"), system);
  return { home, user: "me", agentSocket: "/agent", systemFolder: join(home, "etc") };
}

test("without a config: the target itself and what is usual", (t) => {
  const environment = environmentOf(t, "");
  const config = resolveHost(environment, "Db1.example.com");
  t.like(config, {
    host: "Db1.example.com",
    keyName: "db1.example.com",
    port: 22,
    user: "me",
    identitiesOnly: false,
    agentSocket: "/agent",
    jumps: [],
  });
  t.deepEqual(config.knownHosts, [join(environment.home, ".ssh/known_hosts"), join(environment.home, "etc/ssh_known_hosts")]);
  t.is(config.identityFiles, undefined);
  t.like(resolveHost(environment, "you@[::1]:2222"), { host: "::1", port: 2222, user: "you" });
  t.like(resolveHost(environment, "fe80::1"), { host: "fe80::1", port: 22 });
});

test("aliases: what comes first wins, the target itself before all, the system's file last", (t) => {
  const environment = environmentOf(
    t,
    `Host db
  HostName %h.example.com
  User deploy
  Port 2200
  IdentityFile ~/.ssh/db_%r
  IdentityFile second
  IdentitiesOnly yes
  HostKeyAlias DB-Alias
  UserKnownHostsFile ~/.ssh/a ~/.ssh/b
  ConnectTimeout 7
  IdentityAgent none
Host *
  User everybody
`,
    "Host *\n  User system\n  Port 99\n",
  );
  const { home } = environment;
  t.like(resolveHost(environment, "db"), {
    host: "db.example.com",
    user: "deploy",
    port: 2200,
    keyName: "db-alias",
    identitiesOnly: true,
    agentSocket: undefined,
    connectTimeoutMs: 7000,
  });
  t.deepEqual(resolveHost(environment, "db").identityFiles, [join(home, ".ssh/db_deploy"), join(home, ".ssh/second")]);
  t.deepEqual(resolveHost(environment, "db").knownHosts.slice(0, 2), [join(home, ".ssh/a"), join(home, ".ssh/b")]);
  t.like(resolveHost(environment, "x@db:1"), { user: "x", port: 1 });
  t.like(resolveHost(environment, "other"), { user: "everybody", port: 99 });
});

test("included files, by pattern, in the user's and the system's folder", (t) => {
  const environment = environmentOf(t, "Include more\nHost a\n  Port 1\n", "Include ssh_config.d/*.conf\n");
  writeFileSync(join(environment.home, ".ssh/more"), "Host a b\n  User included\n");
  writeFileSync(join(environment.home, "etc/ssh_config.d/x.conf"), "Host b\n  Port 7\n");
  t.like(resolveHost(environment, "a"), { user: "included", port: 1 });
  t.like(resolveHost(environment, "b"), { user: "included", port: 7 });
  writeFileSync(join(environment.home, ".ssh/more"), "Include more\n");
  t.throws(() => resolveHost(environment, "a"), { message: /include each other/ });
});

test("jump hosts: several, each with its own entry; none; circles", (t) => {
  const environment = environmentOf(
    t,
    `Host target
  ProxyJump one,you@two:22022
Host one
  HostName 10.0.0.1
  ProxyJump zero
Host free
  ProxyJump none
Host round
  ProxyJump circle
Host circle
  ProxyJump round
Host *
  User all
`,
  );
  t.deepEqual(
    resolveHost(environment, "target").jumps.map(({ user, host, port }) => `${user}@${host}:${port}`),
    ["all@zero:22", "all@10.0.0.1:22", "you@two:22022"],
  );
  t.deepEqual(resolveHost(environment, "free").jumps, []);
  t.throws(() => resolveHost(environment, "round"), { message: /circle/ });
});

test("what would run a program is refused for the hosts that it concerns, and for no other", (t) => {
  const environment = environmentOf(
    t,
    `Host p
  ProxyCommand nc %h %p
Host fine
  ProxyCommand none
Match host m exec "true"
  Port 3
Host c
  CanonicalizeHostname yes
`,
  );
  t.throws(() => resolveHost(environment, "p"), { message: /ProxyCommand.*never done/ });
  t.throws(() => resolveHost(environment, "m"), { message: /Match exec/ });
  t.throws(() => resolveHost(environment, "c"), { message: /CanonicalizeHostname/ });
  t.like(resolveHost(environment, "fine"), { host: "fine", port: 22 });
});

test("values that are none, and options in the place of names", (t) => {
  const environment = environmentOf(
    t,
    "Host a\n  HostName -oProxyCommand=x\nHost b\n  Port zero\nHost c\n  User -l\nHost d\n  HostName %C\nHost e\n  ProxyJump -x\n",
  );
  for (const [host, message] of [
    ["a", /HostName/],
    ["b", /Port/],
    ["c", /User/],
    ["d", /% token/],
    ["e", /dash/],
    ["-x", /dash/],
    ["", /missing/],
    ["a b", /not the name/],
  ] as const)
    t.throws(() => resolveHost(environment, host), { message }, host);
});
