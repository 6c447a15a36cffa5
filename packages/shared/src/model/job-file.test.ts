import test from "ava";
import { type AppError, formatIssue, type Issue, isCode } from "../base/errors.ts";
import { meaningAt, parseJobFile, parseJobFiles } from "./job-file.ts";

const NOW = Date.UTC(2026, 0, 15, 12);

/** Every field that a job can have, one per line (so that a wrong one has its own line). */
const FULL = `jobs:
  db/backup:
    name: nightly backup
    description: dumps the app
    labels: { team: data }
    owner: ops
    eventId: CHG-1
    run:
      command:
        script: pg_dump app
        shell: [/bin/bash, -c]
        cwd: /srv
        user: postgres
        group: postgres
        stdin: hello
        umask: "027"
        nice: 5
    rules:
      - id: night
        mode: cycle
        timer: 30 2 * * *
        timezone: Europe/Berlin
        target:
          nodes: [db1, db2]
          labels: { role: db, zone: [a, b], ssd: "*", old: "!*", tier: "!=test" }
          exclude: [db3]
          prefer: [db1]
        from: 2026-01-01T00:00:00Z
        until: 2027-01-01T00:00:00+01:00
        jitter: 5s
        dstGap: skip
        dstFold: both
    kind: interval
    overlap: queue
    parallel: 1
    misfire: all
    misfireWindow: 2h
    onIsolation: hold
    holdFor: 1m
    onNodeLost: rerun
    timeout: 0
    killGrace: 5s
    retry:
      limit: 2
      delay: 1m
      backoff: exponential
      maxDelay: 10m
      jitter: 0.5
    pause: false
    env: { LANG: C }
    secrets: { PGPASSWORD: { secret: password }, TOKEN: { env: TOKEN }, KEY: { file: /etc/key } }
    success:
      exitCodes: [0, 2]
      output: "^ok"
    retain:
      count: 10
      age: 1d
    log:
      maxBytes: 1MiB
      tailBytes: 4KiB
`;

function issuesOf(run: () => unknown): readonly Issue[] {
  try {
    run();
  } catch (thrown) {
    if (isCode(thrown, "input/invalid", "input/too-large", "input/unreadable")) return thrown.issues;
    throw thrown;
  }
  return [];
}
const shapeIssues = (text: string | Uint8Array) => issuesOf(() => parseJobFile(text, "jobs.yaml"));
const job = (body: string) => `jobs:\n  a/b:\n    run: { command: { script: x } }\n    rules: [{ mode: onlyonce }]\n${body}`;

test("a file with every field is accepted", (t) => {
  const [parsed] = parseJobFile(FULL, "jobs.yaml", meaningAt(NOW));
  t.is(parsed?.group, "db");
  t.is(parsed?.id, "backup");
  t.is(parsed?.line, 2);
  t.is(parsed?.spec.timeout, "0");
  t.is(parsed?.spec.rules[0]?.timer, "30 2 * * *");
  t.is(parsed?.lineOf(["rules", 0, "target", "exclude", 0]), 26);
});

const FREE_TEXT = new Set(["name", "description", "owner", "eventId", "script", "stdin", "timer", "timezone", "output"]);

// Each line of FULL that holds a field, with a value of a wrong kind in its place.
const lines = FULL.split("\n");
for (const [index, text] of lines.entries()) {
  const [, indent = "", name = ""] = /^( +(?:- )?)([a-zA-Z/]+):/.exec(text) ?? [];
  if (name === "" || name === "db/backup") continue;
  test(`${name} (line ${index + 1}): a value of a wrong kind gives one issue at its line`, (t) => {
    const depth = indent.length;
    const end = lines.findIndex((line, i) => i > index && (line.search(/[^ -]/) <= depth || line === ""));
    for (const value of [
      "[[1]]",
      "",
      "{ zzz: { y: 1 } }",
      '"\\0"',
      "-1.5",
      ...(name === "pause" ? [] : ["true"]),
      ...(FREE_TEXT.has(name) ? [] : ["zzz z"]),
    ]) {
      const broken = [...lines.slice(0, index), `${indent}${name}: ${value}`, ...lines.slice(end === -1 ? undefined : end)].join("\n");
      const issues = shapeIssues(broken).filter((issue) => !issue.message.startsWith("is missing"));
      t.is(issues.length, 1, JSON.stringify(issues));
      t.is(issues[0]?.line, index + 1);
      t.is(issues[0]?.file, "jobs.yaml");
      t.regex(issues[0]?.path ?? "", new RegExp(`^jobs\\.db/backup\\..*${name}`));
      t.notRegex(formatIssue(issues[0] as Issue), /invalid|expected string|Unrecognized|undefined|\bzod\b|object/i);
    }
  });
  test(`${name} (line ${index + 1}): a misspelt name gives "did you mean" at its line`, (t) => {
    const broken = [...lines.slice(0, index), text.replace(name, `${name}x`), ...lines.slice(index + 1)].join("\n");
    const issues = shapeIssues(broken).filter((issue) => !issue.message.startsWith("is missing") && issue.line === index + 1);
    t.is(issues.length, 1, JSON.stringify(shapeIssues(broken)));
    t.is(issues[0]?.hint, `did you mean "${name}"?`);
  });
}

const wrongValues: [string, RegExp, RegExp?][] = [
  ["kind: single", /found "single"; allowed: common, alone, interval/],
  ["kind: intervall", /found "intervall"/, /did you mean "interval"/],
  ["timeout: 90", /found the number 90; a duration is expected/, /30s/],
  ["timeout: soon", /found "soon"; a duration is expected/],
  ["timeout: 1h1h", /each unit once/],
  ["timeout: 9999d", /from 0 to 365d/],
  ["misfireWindow: 0", /from 1s to 31d/],
  ["killGrace: 2h", /from 0 to 1h/],
  ["parallel: 0", /found the number 0; a whole number from 1 to 1000/],
  ["parallel: 1.5", /whole number/],
  ['parallel: "2"', /found "2"/, /without quotes/],
  ["pause: yes", /found "yes"; true or false/],
  ["log: { maxBytes: 64 MB }", /a size is expected/, /8KiB/],
  ["log: { tailBytes: 1MiB }", /from 0 to 16KiB/],
  ["retry: { delay: 1m }", /is missing; a whole number/],
  ["retry: { limit: -1 }", /from 0 to 100/],
  ["retry: { limit: 1, jitter: 2 }", /from 0 to 1/],
  ["env: { 1A: x }", /found "1A"; a variable name/],
  ["env: { FLEETCRON_JOB: x }", /does not begin with FLEETCRON_/],
  ["env: { PORT: 8080 }", /found the number 8080; text/, /"8080"/],
  ['env: { A: "x\\0y" }', /NUL/],
  ["secrets: { A: hunter2 }", /^the source of a secret is expected, never its value$/],
  ["secrets: { A: { secret: a/b/c } }", /found "a\/b\/c"; a secret's name is expected/],
  ['name: "a\\nb"', /line break/],
  ['name: "\\e[31mred"', /control character/],
  ["success: { exitCodes: [] }", /at least 1/],
  ["success: { exitCodes: [256] }", /from 0 to 255/],
  ['success: { output: "(" }', /not a valid regular expression/],
  ["retain: { count: 0 }", /from 1 to 10000/],
  ["labels: { team: '!x' }", /does not begin with !/],
  ["labels: { 'a b': x }", /a label name/],
];
for (const [text, message, hint] of wrongValues) {
  test(`${text} is refused in plain words`, (t) => {
    const issues = shapeIssues(job(`    ${text}\n`));
    t.is(issues.length, 1, JSON.stringify(issues));
    t.is(issues[0]?.line, 5);
    t.regex(issues[0]?.message ?? "", message);
    if (hint !== undefined) t.regex(issues[0]?.hint ?? "", hint);
  });
}

const wrongRules: [string, RegExp][] = [
  ["rules: []", /at least 1/],
  ["rules: [{ id: R1, mode: onlyonce }]", /a rule id/],
  ["rules: [{ mode: cron }]", /allowed: cycle, manyonce, onlyonce/],
  ["rules: [{ mode: onlyonce, from: 2026-01-01 }]", /an instant/],
  ["rules: [{ mode: onlyonce, target: { nodes: ['db*'] } }]", /a node id/],
  ["rules: [{ mode: onlyonce, target: { labels: { role: '!db' } } }]", /a label condition/],
  ["rules: [{ mode: onlyonce, target: { labels: { role: 5 } } }]", /a label condition/],
  ["run: { command: { umask: 027 } }", /found the number 27; an octal mask in quotes/],
  ["run: { command: { cwd: tmp } }", /absolute path/],
  ["run: { command: { user: 'a b' } }", /a user or group name/],
  ["run: { command: { nice: 20 } }", /from -20 to 19/],
  ["run: { shh: {} }", /there is no such field/],
];
for (const [text, message] of wrongRules) {
  test(`${text} is refused`, (t) => {
    const rest = text.startsWith("rules") ? "run: { command: { script: x } }" : "rules: [{ mode: onlyonce }]";
    const issues = shapeIssues(`jobs:\n  a/b:\n    ${rest}\n    ${text}\n`).filter((issue) => !issue.message.startsWith("is missing"));
    t.is(issues.length, 1, JSON.stringify(issues));
    t.is(issues[0]?.line, 4);
    t.regex(issues[0]?.message ?? "", message);
  });
}

test("what is missing is named at the line of the job", (t) => {
  t.deepEqual(
    shapeIssues("jobs:\n  a/b:\n    name: x\n").map((issue) => [issue.line, issue.path, issue.message]),
    [
      [2, "jobs.a/b.run", "is missing; a mapping with fields is expected"],
      [2, "jobs.a/b.rules", "is missing; a list of rules is expected"],
    ],
  );
});

test("issues of several jobs and files come together, and no id is used twice", (t) => {
  const files = [
    { name: "a.yaml", text: job("    kind: x\n") },
    { name: "b.yaml", text: `${job("").replace("a/b", "a/c")}---\n${job("").replace("a/b", "a/c")}` },
    { name: "c.yaml", text: "jobs: [" },
    { name: "d.yaml", text: Buffer.from([0x0a, 0x0a, 0xff]) },
  ];
  const issues = issuesOf(() => parseJobFiles(files));
  t.deepEqual(
    issues.map((issue) => `${issue.file}:${issue.line}`),
    ["a.yaml:5", "b.yaml:7", "c.yaml:1", "d.yaml:3"],
  );
  t.regex(issues[1]?.message ?? "", /a\/c is also in b\.yaml:2/);
});

test("a further check speaks with file, line and path", (t) => {
  const [issue] = issuesOf(() => parseJobFile(FULL.replace("30 2 * * *", "30 2 30 2 *"), "jobs.yaml", meaningAt(NOW)));
  t.regex(formatIssue(issue as Issue), /^jobs\.yaml:21: jobs\.db\/backup\.rules\[0\]\.timer: timer "30 2 30 2 \*": never fires/);
});

const keys: [string, RegExp][] = [
  ["a/b/c", /one slash/],
  ["A/b", /"A" as the group/],
  ["a/", /"" as the id/],
  ["../x", /"\.\." as the group/],
  ["a/b c", /"b c" as the id/],
];
for (const [key, message] of keys) {
  test(`the key "${key}" is refused`, (t) => {
    const issues = shapeIssues(job("").replace("a/b", `"${key}"`));
    t.is(issues.length, 1);
    t.is(issues[0]?.line, 2);
    t.regex(issues[0]?.message ?? "", message);
  });
}

test("a key without a slash is in the default group", (t) => {
  t.is(parseJobFile(job("").replace("a/b", "b"), "x")[0]?.group, "default");
});

const files: [string, string | Uint8Array, number, RegExp][] = [
  ["empty", "", 1, /the file is empty/],
  ["only a comment", "# nothing\n", 1, /the file is empty/],
  ["text", "hello\n", 1, /found "hello"; a job file is a mapping/],
  ["null jobs", "jobs:\n", 1, /has no value/],
  ["other top level", "deployments: {}\n", 1, /no such field at the top/],
  ["misspelt top level", "\njob: {}\n", 2, /no such field at the top/],
  ["a tab", "jobs:\n\ta/b: {}\n", 2, /a tab is used to indent/],
  ["duplicate keys", job("    name: a\n    name: b\n"), 6, /"name" is given twice/],
  ["duplicate jobs", `${job("")}${job("").replace("jobs:\n", "")}`, 5, /"a\/b" is given twice/],
  ["an unclosed quote", 'jobs:\n  a/b: "x\n', 3, /closing quote/],
  ["a bare star", "jobs:\n  a/b: { timer: * }\n", 2, /cannot begin with \*|no value above/],
  ["a tag", "jobs: !foo {}\n", 1, /tags/],
  ["__proto__", "jobs:\n  __proto__: {}\n", 2, /__proto__/],
  ["deep nesting", `jobs: ${"[".repeat(20_000)}${"]".repeat(20_000)}`, 1, /nested/],
  ["bad UTF-8", Buffer.concat([Buffer.from("jobs:\n  # caf"), Buffer.from([0xe9]), Buffer.from("\n")]), 2, /not UTF-8/],
  [
    "JSON with a wrong value",
    '{\n\t"jobs": {\n\t\t"a/b": {\n\t\t\t"kind": 1,\n\t\t\t"run": {"command": {"script": "x"}}, "rules": [{"mode": "onlyonce"}]\n}}}',
    4,
    /found the number 1; allowed/,
  ],
];
for (const [name, text, line, message] of files) {
  test(`a file with ${name} is refused at its line`, (t) => {
    const issues = shapeIssues(text);
    t.true(
      issues.some((issue) => issue.line === line && message.test(issue.message)),
      JSON.stringify(issues),
    );
    t.true(issues.length <= 20);
  });
}

test("a 10 MB file is refused unread", (t) => {
  const error = t.throws(() => parseJobFile(`jobs:\n${"#".repeat(10_000_000)}`, "big.yaml")) as AppError;
  t.is(error.code, "input/too-large");
  t.regex(error.message, /big\.yaml has 9\.5 MiB; at most 8 MiB/);
  t.is(t.throws(() => parseJobFile(Buffer.alloc(10_000_000), "big.yaml") as unknown as AppError)?.message, error.message);
});

test("aliases may be used often but do not multiply without end", (t) => {
  const anchors = Array.from(
    { length: 12 },
    (_, i) =>
      `  - &a${i} [${Array(9)
        .fill(i === 0 ? "x" : `*a${i - 1}`)
        .join(", ")}]`,
  );
  const issues = shapeIssues(`jobs:\n${anchors.join("\n")}\n`);
  t.true(issues.some((issue) => /stand for more than 500000 values/.test(issue.message)));
  const [self] = shapeIssues("jobs: &a [*a]\n");
  t.regex(self?.message ?? "", /contains itself/);
  const shared = Array.from({ length: 3000 }, (_, i) => `  g/j${i}: *job\n`).join("");
  t.is(parseJobFile(`${job("").replace("a/b:", "a/b: &job")}${shared}`, "x").length, 3001);
});

test("merge keys take over fields, and wrong ones are found at the use", (t) => {
  const text = `${job("    timeout: &t 1h\n")}  a/c:\n    <<: &d { run: { command: { script: y } }, rules: [{ mode: onlyonce }] }\n    timeout: *t\n  a/d:\n    <<: *d\n    kind: alone\n`;
  const jobs = parseJobFile(text, "x");
  t.is(jobs[1]?.spec.timeout, "1h");
  t.is(jobs[2]?.spec.kind, "alone");
  t.deepEqual(jobs[2]?.spec.run, { command: { script: "y" } });
  t.is(shapeIssues(text.replace("rules: [{ mode: onlyonce }] }", "rules: [] }"))[1]?.line, 9);
});

test("JSON, byte order marks, CRLF and several documents are read", (t) => {
  const json = JSON.stringify(
    { $schema: "x", jobs: { "a/b": { run: { command: { script: "x" } }, rules: [{ mode: "onlyonce" }] } } },
    null,
    "\t",
  );
  t.is(parseJobFile(json, "x.json").length, 1);
  t.is(parseJobFile(Buffer.from(`\uFEFF${job("").replaceAll("\n", "\r\n")}`), "x").length, 1);
  t.is(parseJobFile(`---\n${job("")}---\n${job("").replace("a/b", "a/c")}---\n`, "x").length, 2);
  t.deepEqual(parseJobFile("jobs: {}\n", "x"), []);
});

test("10,000 jobs are checked in seconds", (t) => {
  const one = job("    timeout: 1h\n")
    .replace("jobs:\n", "")
    .replace("{ mode: onlyonce }", '{ mode: cycle, timer: "30 2 * * *", timezone: Europe/Berlin }');
  const text = `jobs:\n${Array.from({ length: 10_000 }, (_, i) => one.replace("a/b", `a/b${i}`)).join("")}`;
  const before = process.cpuUsage().user;
  t.is(parseJobFile(text, "x", meaningAt(NOW)).length, 10_000);
  t.true(process.cpuUsage().user - before < 15_000_000);
});
