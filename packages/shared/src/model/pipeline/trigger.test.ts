/** Triggers: what is refused, what patterns match, which ticks run. */
import test from "ava";
import { parseFiles } from "../job-file.ts";
import { checkPipeline } from "./pipeline-check.ts";
import type { PipelineSpec } from "./pipeline-spec.ts";
import { valuesOf } from "./trigger-check.ts";
import { patternToRegExp } from "./trigger-match.ts";
import type { TriggerSpec } from "./trigger-spec.ts";
import { dueTicks, timesOf } from "./trigger-timer.ts";

const tasks = [{ name: "a", job: { run: { command: { script: "true" } } } }];
const secret = { file: "hook" };

test("what triggers cannot mean is refused with its place", (t) => {
  const check = (triggers: readonly TriggerSpec[], more: Partial<PipelineSpec> = {}) =>
    checkPipeline("g", "p", { tasks, triggers, ...more }).map(
      ({ path, message, hint }) => `${path.join(".")}: ${message}${hint === undefined ? "" : ` (${hint})`}`,
    );
  const params = [
    { name: "COMMIT" },
    { name: "KEY", type: "secret" as const },
    { name: "MODE", type: "enum" as const, options: ["a", "b"] },
  ];
  t.deepEqual(
    check([
      { name: "x", rule: { timer: "0 3 * * *" } },
      { name: "y", gitlab: { secret, branches: ["a/*", "/^b/"] } },
    ]),
    [],
  );
  t.regex(check([{ name: "x" }])[0] ?? "", /triggers\.0: says not what starts/);
  t.regex(check([{ name: "x", rule: { timer: "@daily" }, gitee: { secret } }])[0] ?? "", /is rule and gitee at once/);
  t.regex(
    check([
      { name: "x", gitee: { secret } },
      { name: "x", gitee: { secret } },
    ])[0] ?? "",
    /triggers\.1\.name: there is another/,
  );
  t.regex(check([{ name: "x", rule: { timer: "@startup" } }])[0] ?? "", /rule\.timer: @startup is for jobs/);
  t.regex(check([{ name: "x", rule: { timer: "61 * * * *" } }])[0] ?? "", /triggers\.0\.rule\.timer/);
  t.regex(check([{ name: "x", rule: { timer: "@daily", timezone: "Europe/Berln" } }])[0] ?? "", /rule\.timezone.*Berlin/);
  t.regex(check([{ name: "x", github: { secret, branches: ["/(/"] } }])[0] ?? "", /github\.branches\.0: .*not a valid regular expression/);
  t.regex(check([{ name: "x", github: { secret, tags: ["v*"] } }])[0] ?? "", /tags: are for the event tag.*events: \[push, tag\]/);
  t.regex(check([{ name: "x", pipeline: { after: "g/p" } }])[0] ?? "", /follow itself/);
  const hook = (values: Record<string, string>) => check([{ name: "x", github: { secret }, params: values }], { params })[0] ?? "";
  t.is(hook({ COMMIT: "${commit} on ${branch}" }), "");
  t.regex(hook({ COMIT: "1" }), /declares no such param \(did you mean "COMMIT"\?\)/);
  t.regex(hook({ COMMIT: "${comit}" }), /no fact of such an event \(did you mean "commit"\?\)/);
  t.regex(hook({ KEY: "${branch}" }), /not for an event to say/);
  t.regex(hook({ MODE: "c" }), /is of type enum/);
});

test("what a file says wrong is told with its line, and a secret is not repeated", (t) => {
  const text = `pipelines:
  g/p:
    tasks: [{ name: a, job: { run: { command: { script: "true" } } } }]
    triggers:
      - name: x
        gitlab:
          secret: s3cr3t-text
          brances: [main]
      - name: y
        rule: { timer: "@daily", misfire: onse }
    notify: [{ on: [slow], to: [ops] }]
`;
  const error = t.throws(() => parseFiles([{ name: "p.yaml", text }])) as Error & {
    issues: { line: number; message: string; hint?: string }[];
  };
  const said = error.issues.map(({ line, message, hint }) => `${line}: ${message} (${hint})`);
  t.is(said.length, 4, said.join("\n"));
  t.regex(said[0] ?? "", /^7: is not where a secret is to be found/);
  t.regex(said[1] ?? "", /^8: there is no such field \(did you mean "branches"\?\)/);
  t.regex(said[2] ?? "", /^10: found "onse".*"once"/);
  t.regex(said[3] ?? "", /^11: found "slow"; allowed: success/);
  t.notRegex(JSON.stringify(error.issues), /s3cr3t/);
});

test("globs stay within a part of the name unless they say otherwise; slashes make a regular expression", (t) => {
  for (const [pattern, yes, no] of [
    ["main", ["main"], ["main2", "xmain", "MAIN"]],
    ["release/*", ["release/1.2"], ["release/1/2", "release"]],
    ["feature/**", ["feature/a", "feature/a/b"], ["feature"]],
    ["v?.?", ["v1.2"], ["v10.2", "v1x2"]],
    ["a+b(c)", ["a+b(c)"], ["aab(c)"]],
    ["/^v\\d+$/", ["v12"], ["v12a"]],
    ["/fix/", ["hotfix-1"], ["feature"]],
  ] as const) {
    for (const name of yes) t.true(patternToRegExp(pattern).test(name), `${pattern} ${name}`);
    for (const name of no) t.false(patternToRegExp(pattern).test(name), `${pattern} ${name}`);
  }
});

test("values from facts: what the event has not is left out, what is long is cut", (t) => {
  const trigger: TriggerSpec = {
    name: "x",
    params: { A: "${branch}${tag}", B: "${tag}", C: "x-${commit}", D: "${x}" },
    labels: { l: "${message}" },
  };
  const facts = { branch: "main", tag: "", commit: "c0ffee", message: "m".repeat(300) };
  t.deepEqual(valuesOf(trigger, facts), { params: { A: "main", C: "x-c0ffee" }, labels: { l: "m".repeat(128) } });
});

test("ticks that have passed: on time all run, late ones by the policy, none older than the window", (t) => {
  const MINUTE = 60_000;
  const day = Date.UTC(2027, 0, 1);
  const times = timesOf({ timer: "*/10 * * * *" }, { seed: "g/p", anchorMs: day, timezone: "UTC" });
  const at = (minutes: number, ms = 0) => day + minutes * MINUTE + ms;
  const due = (misfire: "once" | "skip" | "all", after: number, now: number, misfireWindow?: string) => {
    const found = dueTicks({ misfire, ...(misfireWindow === undefined ? {} : { misfireWindow }) }, times, after, now);
    const minute = (ms: number) => (ms - day) / MINUTE;
    return found && [found.fire.map(minute), found.missed === undefined ? undefined : minute(found.missed), minute(found.untilMs)];
  };
  t.is(due("once", at(10), at(19)), undefined);
  for (const misfire of ["once", "skip", "all"] as const) t.deepEqual(due(misfire, at(10), at(20, 3)), [[20], undefined, 20]);
  t.deepEqual(due("once", at(0), at(45)), [[40], undefined, 40]);
  t.deepEqual(due("skip", at(0), at(45)), [[], 40, 40]);
  t.deepEqual(due("all", at(0), at(45)), [[10, 20, 30, 40], undefined, 40]);
  t.deepEqual(due("once", at(0), at(40, 5)), [[40], undefined, 40], "the newest is on time");
  t.deepEqual(due("skip", at(0), at(40, 5)), [[40], 30, 40]);
  t.deepEqual(due("all", at(0), at(45), "20m"), [[30, 40], 20, 40]);
  t.deepEqual(due("once", at(0), at(45), "1m"), [[], 40, 40]);
});
