import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import test from "ava";
import { isCode } from "fleetcron-shared/base/errors";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { CommandSpec, JobSpec } from "fleetcron-shared/model/job-spec";
import { tempFolder } from "../../../../test/support/processes.ts";
import { openPolicy } from "./policy.ts";
import { violations } from "./policy-check.ts";
import { parsePolicy, readPolicy } from "./policy-file.ts";
import { matchesPath, resolveProgram } from "./program-path.ts";

const META = { group: "db", id: "backup", revision: 1, createdAt: "2027-01-01T00:00:00Z", updatedAt: "2027-01-01T00:00:00Z" };
const job = (command: CommandSpec, more: Partial<JobSpec> = {}, group = "db") =>
  compileJob({ ...META, group, submittedAt: META.createdAt }, { rules: [{ mode: "manyonce" }], timeout: "10m", ...more, run: { command } });
const jobOf = (run: JobSpec["run"], more: Partial<JobSpec> = {}) =>
  compileJob({ ...META, submittedAt: META.createdAt }, { rules: [{ mode: "manyonce" }], timeout: "10m", ...more, run });
const check = (yaml: string, of: ReturnType<typeof job>, env = {}) =>
  violations(parsePolicy(yaml, "p.yaml"), { userNames: ["fleet", "990"] }, of, env);
const ok = { argv: ["/usr/bin/id"], user: "postgres" };

function issuesOf(run: () => unknown): string[] {
  try {
    run();
  } catch (thrown) {
    if (isCode(thrown, "config/invalid"))
      return thrown.issues.map((issue) => `${issue.line} ${issue.path}: ${issue.message} (${issue.hint})`);
    throw thrown;
  }
  throw new Error("it was accepted");
}

test("each field is checked for itself, and says where it stands", (t) => {
  t.deepEqual(check("", job({ script: "anything" })), []);
  t.deepEqual(check("jobGroups: [web, 'd*']", job(ok)), []);
  t.deepEqual(check("\njobGroups: [web]", job(ok)), ['p.yaml:2 (jobGroups): jobs of the group "db" may not run on this host']);
  t.regex(check("runners: [http]", job(ok)).join(), /runner "command" may not be used/);
  t.deepEqual(check("maxTimeout: 10m", job(ok)), []);
  t.regex(check("maxTimeout: 9m", job(ok)).join(), /has a timeout of 10m; give it one of at most 9m/);
  t.regex(check("maxTimeout: 9m", job(ok, { timeout: "0" })).join(), /the job has no timeout/);
  t.is(check("maxTimeout: 9m\nusers: []\njobGroups: []", job(ok)).length, 3);
});

test("users: the job's, or the agent's own; other groups and the agent's secrets only as listed", (t) => {
  t.deepEqual(check("users: [postgres]", job(ok)), []);
  t.regex(check("users: [postgres]", job({ argv: ["id"] })).join(), /may not run as "fleet" on this host \(the agent's user/);
  t.deepEqual(check("users: ['990']", job({ argv: ["id"] })), []);
  t.regex(check("users: [postgres]", job({ argv: ["id"], user: "0" })).join(), /may not run as "0"/);
  t.regex(check("users: [postgres]", job({ ...ok, group: "root" })).join(), /Unix group "root"/);
  t.deepEqual(check("users: [postgres]\nunixGroups: [ssl-cert]", job({ ...ok, group: "ssl-cert" })), []);
  const secrets = { A: { file: "/etc/hostname" }, B: { env: "HOME" } };
  t.deepEqual(check("{}", job(ok, { secrets })), []);
  t.is(check("users: [postgres]", job(ok, { secrets })).length, 2);
  t.deepEqual(check("users: [postgres]\nsecretFiles: [/etc/host*]\nsecretEnv: [HO*]", job(ok, { secrets })), []);
});

test("commands: argv by the file it stands for, scripts only when they are allowed", (t) => {
  const sh = "commands: [/usr/bin/]\n";
  t.deepEqual(check(sh, job({ argv: ["id"] })), []);
  t.regex(check(sh, job({ argv: ["/usr/bin/../../etc/passwd"] })).join(), /\/etc\/passwd may not be run/);
  t.regex(check(sh, job({ argv: ["no-such-program"] })).join(), /is not found in/);
  t.regex(check(sh, job({ argv: ["./id"] })).join(), /relative/);
  t.deepEqual(check(sh, job({ argv: ["./id"], cwd: "/usr/bin" })), []);
  for (const name of ["PATH", "LD_PRELOAD", "BASH_ENV"]) {
    t.regex(check(sh, job({ argv: ["id"] }, { env: { [name]: "x" } })).join(), new RegExp(`variable ${name}`));
    t.regex(check(sh, job({ argv: ["id"] }), { [name]: "x" }).join(), new RegExp(`variable ${name}`));
  }
  t.regex(check(sh, job({ script: "id" })).join(), /scripts may not be run/);
  t.deepEqual(check(`${sh}scripts: true`, job({ script: "id" }, { env: { PATH: "/x" } })), []);
  const some = `${sh}scripts: ['backup-\\w+']`;
  t.deepEqual(check(some, job({ script: "backup-db" })), []);
  for (const script of ["backup-db; id", "backup-db\nid", "x backup-db"])
    t.regex(check(some, job({ script })).join(), /none of those/, script);
  t.regex(check(some, job({ script: "backup-db", shell: ["/tmp/sh", "-c"] })).join(), /default shell/);
});

test("ssh: hosts as listed, whatever their case, user or port; keys as secretFiles says", (t) => {
  const ssh = (...hosts: string[]) => jobOf({ ssh: { hosts, script: "id" } });
  t.deepEqual(check("{}", ssh("root@anywhere:2222")), []);
  const yaml = "sshHosts: ['*.db.example', web1, '10.0.*', 'fd00:*']";
  t.deepEqual(check(yaml, ssh("root@A.db.example:2222", "WEB1", "10.0.3.4", "u@[fd00::1]:22")), []);
  t.deepEqual(check(yaml, ssh("web1", "root@db.example.evil.example:22")), [
    'p.yaml:1 (sshHosts): jobs may not reach "db.example.evil.example" by ssh from this host',
  ]);
  for (const host of ["web11", "xweb1", "-oProxyCommand=id", "web1@evil", "10.1.0.1"]) t.is(check(yaml, ssh(host)).length, 1, host);
  t.is(check("sshHosts: []", ssh("web1")).length, 1);
  t.regex(check("runners: [http]", ssh("web1")).join(), /runner "ssh"/);
  const keyed = jobOf({ ssh: { hosts: ["web1"], script: "id", auth: { key: "/etc/hostname" } } });
  t.regex(check("secretFiles: [/opt/]", keyed).join(), /secretFiles\): run\.ssh\.auth\.key may not be read from \/etc\/hostname/);
  t.deepEqual(check("secretFiles: [/etc/host*]", keyed), []);
  t.is(check("users: []", keyed).length, 1, "as for the files of secrets");
});

test("kubernetes: the namespace of the field and of the manifest must be listed, and be known beforehand", (t) => {
  const manifest = (namespace: string) => `apiVersion: batch/v1\nkind: Job\nmetadata: { name: x${namespace} }\n`;
  const kube = (text: string, namespace?: string) =>
    jobOf({ kubernetes: { manifest: manifest(text), ...(namespace === undefined ? {} : { namespace }) } }, { env: { TEAM: "team-a" } });
  t.deepEqual(check("{}", kube("")), []);
  const yaml = "namespaces: ['team-*', build]";
  t.deepEqual(check(yaml, kube(", namespace: team-a")), []);
  t.deepEqual(check(yaml, kube("", "build")), []);
  t.deepEqual(check(yaml, kube(', namespace: "${TEAM}"')), []);
  t.regex(check(yaml, kube(', namespace: "${TEAM}"'), { TEAM: "kube-system" }).join(), /namespace "kube-system" from this host/);
  t.regex(check(yaml, kube("")).join(), /names no Kubernetes namespace.*give run\.kubernetes\.namespace/);
  t.regex(check(yaml, kube(", namespace: kube-system", "build")).join(), /namespace "kube-system"/, "the manifest's own counts too");
  t.regex(check(yaml, kube("", "${FLEETCRON_NODE}")).join(), /cannot be told before the job runs/);
  const image = { kind: "Deployment", name: "a", container: "a", image: "a" } as const;
  t.is(check(yaml, jobOf({ kubernetes: { setImage: image } })).length, 1);
  t.deepEqual(check(yaml, jobOf({ kubernetes: { setImage: image, namespace: "build" } })), []);
});

test("http: networks are addresses; client keys as secretFiles says", (t) => {
  const http = jobOf({ http: { url: "https://10.0.0.1/", tls: { key: "/etc/hostname", cert: "/etc/hostname" } } });
  t.deepEqual(check("networks: [10.0.0.0/8, '::1', private, 127.0.0.1]", http), []);
  t.is(check("secretFiles: []", http).length, 2);
  t.regex(
    issuesOf(() => parsePolicy("networks: [10.0.0.0/33, example.org]", "p.yaml")).join(),
    /found "10\.0\.0\.0\/33"; a network is expected.*found "example\.org"; a network is expected \(private/,
  );
  t.deepEqual(parsePolicy("networks: [private]", "p.yaml").networks, ["private"]);
});

test("paths are compared by their real folder", (t) => {
  using temp = tempFolder();
  for (const name of ["jobs", "evil", "evil/in"]) mkdirSync(temp.file(name));
  for (const name of ["jobs/run", "evil/run"]) writeFileSync(temp.file(name), "", { mode: 0o755 });
  symlinkSync(temp.file("evil/in"), temp.file("jobs/link"));
  symlinkSync(temp.file("evil/run"), temp.file("jobs/linked"));
  symlinkSync(temp.file("jobs"), temp.file("alias"));
  const allows = (patterns: string[], name: string, cwd?: string) => {
    const program = resolveProgram(name, { path: temp.file("jobs"), cwd });
    return (
      "file" in program &&
      matchesPath(
        patterns.map((one) => temp.file(one)),
        program.file,
      )
    );
  };
  t.true(allows(["jobs/"], temp.file("jobs/run")));
  t.true(allows(["alias/*"], temp.file("jobs/run")), "links in the pattern");
  t.true(allows(["jobs/*"], temp.file("alias/run")), "links in the name");
  t.true(allows(["jobs/linked"], temp.file("jobs/linked")), "a link in an allowed folder");
  t.true(allows(["*/run"], "run"), "found in PATH");
  t.true(allows(["*/"], temp.file("evil/in/x")));
  t.false(allows(["jobs/r"], temp.file("jobs/run")));
  t.false(allows(["jobs/*"], temp.file("jobs/link/x")));
  t.false(allows(["jobs/"], `${temp.path}/jobs/link/../run`), "evil/run, though it reads like jobs/run");
  t.false(allows(["jobs/"], "link/../run", temp.file("jobs")));
  t.false(allows(["jobs/"], `${temp.path}/jobs/link/..`));
});

test("the example is right, and says what it says", (t) => {
  const policy = parsePolicy(readFileSync(new URL("../../examples/policy.yaml", import.meta.url)), "policy.yaml");
  const own = { userNames: ["root"] };
  t.deepEqual(violations(policy, own, job({ script: "/opt/jobs/clean-up --all", user: "postgres" })), []);
  t.is(violations(policy, own, job({ script: "rm -rf /", user: "root" }, { timeout: "3h" }, "web")).length, 4);
});

test("a wrong policy names file, line and what to do", (t) => {
  t.deepEqual(issuesOf(() => parsePolicy("users: [root]\ncomands: [/bin/]\nmaxTimeout: 5\nscripts: false\n", "p.yaml")).sort(), [
    '2 comands: there is no such field (did you mean "commands"?)',
    "3 maxTimeout: found the number 5; a duration is expected (write a number with a unit: 250ms, 30s, 5m, 1h30m, 7d)",
  ]);
  t.deepEqual(
    issuesOf(() => parsePolicy("scripts: false\n", "p.yaml")),
    ["1 scripts: needs `commands` (without it, argv may name a shell, and `scripts` restricts nothing)"],
  );
  t.regex(issuesOf(() => parsePolicy("users: [a\n", "p.yaml")).join(), /^2 .*bracket above is not closed/);
  t.regex(
    issuesOf(() => parsePolicy("commands: [ls]\nrunners: [comand]", "p.yaml")).join("\n"),
    /did you mean "command"[\s\S]*absolute path/,
  );
  t.regex(issuesOf(() => parsePolicy("- users", "p.yaml")).join(), /a mapping with fields is expected/);
});

test("a file that others may write is refused, one that is not there is none", (t) => {
  using temp = tempFolder();
  const file = temp.file("policy.yaml");
  const uid = process.getuid?.() ?? 0;
  t.is(readPolicy(file, uid), undefined);
  writeFileSync(file, "users: [a]\n");
  chmodSync(file, 0o664);
  t.throws(() => readPolicy(file, uid), { message: /can be written by others/ });
  chmodSync(file, 0o644);
  t.deepEqual(readPolicy(file, uid)?.users, ["a"]);
  if (uid === 0) chownSync(file, 4711, 0);
  t.throws(() => readPolicy(file, uid + 1), { message: /belongs to uid \d+; it must belong to root or to the agent's user/ });
  t.throws(() => readPolicy(temp.path, uid), { message: /is not a file/ });
});

test("a reload takes a right file and leaves the old policy in force for a wrong one", (t) => {
  using temp = tempFolder();
  const file = temp.file("policy.yaml");
  const errors: object[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => errors.push(fields), child: () => log } as never;
  const own = { uid: process.getuid?.() ?? 0 };
  t.throws(() => openPolicy({ log, own }, { file }), { message: /there is no such file/ });
  writeFileSync(file, "users: [nobody]\n", { mode: 0o644 });
  const policy = openPolicy({ log, own }, { file });
  t.regex(policy.refusal(job(ok)) ?? "", /policy\.yaml:1 \(users\)/);
  writeFileSync(file, "users: [nobody\nuser: 1\n");
  policy.reload();
  t.is(errors.length, 1);
  t.regex(JSON.stringify(errors[0]), /policy\.yaml:\d/);
  t.regex(policy.refusal(job(ok)) ?? "", /\(users\)/);
  writeFileSync(file, "users: [postgres]\n");
  policy.reload();
  t.is(policy.refusal(job(ok)), undefined);
  t.regex(policy.refusal(job({ ...ok, user: "nobody" })) ?? "", /\(users\)/);
  rmSync(file);
  policy.reload();
  t.is(errors.length, 2);
  t.regex(policy.refusal(job({ ...ok, user: "nobody" })) ?? "", /\(users\)/, "a file that is gone lifts nothing");
});
