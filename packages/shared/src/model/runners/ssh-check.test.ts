import test from "ava";
import { checkShape } from "../../base/zod-issues.ts";
import { checkSsh } from "./ssh-check.ts";
import { sshSchema } from "./ssh-schema.ts";
import type { SshSpec } from "./ssh-spec.ts";
import { parseSshTarget } from "./ssh-target.ts";

test("targets: user, host, port, IPv6", (t) => {
  t.deepEqual(parseSshTarget("db1"), { host: "db1" });
  t.deepEqual(parseSshTarget("deploy@db1.example.com:2222"), { user: "deploy", host: "db1.example.com", port: 2222 });
  t.deepEqual(parseSshTarget("DOM\\me@[fe80::1%eth0]:22"), { user: "DOM\\me", host: "fe80::1%eth0", port: 22 });
  t.deepEqual(parseSshTarget("me@corp.com@host"), { user: "me@corp.com", host: "host" });
  t.deepEqual(parseSshTarget("::1"), { host: "::1" });
});

test("what is no target is refused, options before all", (t) => {
  for (const text of [
    "",
    "@",
    "a@",
    "@b",
    "-oProxyCommand=x",
    "a@-l",
    "-a@b",
    "a b",
    "a;b",
    "$(a)",
    "a/b",
    "h:",
    "h:0",
    "h:65536",
    "h:22x",
    "[::1",
    "[]:1",
    "a\nb",
    "*.x",
  ])
    t.true("wrong" in parseSshTarget(text), JSON.stringify(text));
});

test("the shape says what is wrong where", (t) => {
  const issues = (value: unknown) =>
    checkShape<SshSpec>(sshSchema, value).issues?.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
  t.deepEqual(
    issues({ hosts: ["a", "b@c:1"], argv: ["x"], auth: { agent: true, key: "/k", passphrase: "P", password: "Q" }, maxParallel: 3 }),
    [],
  );
  t.regex(issues({ hosts: ["-oProxyCommand=x"], script: "x" }).join(), /^hosts\.0: .*begins with a dash/);
  t.regex(issues({ hosts: [], script: "x" }).join(), /at least 1/);
  t.regex(issues({ hosts: ["a"], script: "x", auth: { agent: false } }).join(), /^auth\.agent/);
  t.regex(issues({ hosts: ["a"], script: "x", idleTimeout: "10ms" }).join(), /^idleTimeout: /);
  t.regex(issues({ hosts: ["a"], script: "x", hostKeys: "no" }).join(), /allowed: strict, accept-new/);
});

test("what fields mean together", (t) => {
  const issues = (spec: Partial<SshSpec>, secrets?: string[]) =>
    checkSsh({ hosts: ["a"], ...spec }, secrets).map(({ path, message }) => `${path.join(".")}: ${message}`);
  t.deepEqual(issues({ script: "x" }), []);
  t.regex(issues({}).join(), /neither script nor argv/);
  t.regex(issues({ script: "x", argv: ["x"] }).join(), /both script and argv/);
  t.regex(issues({ argv: ["x"], shell: ["sh"] }).join(), /^shell: /);
  t.regex(issues({ script: "x", hosts: ["a", "b", "a"] }).join(), /^hosts\.2: .*hosts\[0\]/);
  t.regex(issues({ script: "x", maxParallel: 2 }).join(), /^maxParallel: /);
  t.regex(issues({ script: "x", auth: {} }).join(), /^auth: no way/);
  t.regex(issues({ script: "x", auth: { agent: true, passphrase: "P" } }, ["P"]).join(), /^auth\.passphrase: there is no key/);
  t.regex(issues({ script: "x", auth: { password: "P" } }, []).join(), /^auth\.password: the job has no secret P/);
  t.deepEqual(issues({ script: "x", auth: { password: "P" } }), []);
});
