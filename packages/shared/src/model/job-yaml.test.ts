import test from "ava";
import fc from "fast-check";
import { parseJobFile } from "./job-file.ts";
import { jobFileSchema } from "./job-json-schema.ts";
import type { JobSpec } from "./job-spec.ts";
import { jobsToYaml } from "./job-yaml.ts";

const anyText = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
    fc.constantFrom(
      "yes",
      "null",
      "~",
      "027",
      "1.10",
      "# x",
      "a: b",
      "- x",
      "a\n  b\n\n",
      "\n",
      " x ",
      "\r\n",
      "'",
      '"',
      "\\",
      "*x",
      "&x",
      "!x",
      "%x",
      "@x",
      "---",
      "x #y",
      "0x1f",
      "<<",
      "\t",
      "\u0085",
      "\uFEFF",
      "|",
      "é\u2028",
      "a\rb\n",
      "a\n\r\nb",
      "a\u0085\nb\n",
      " a\n b\n",
      "\n\na \n",
      "a\n\uFEFFb\n",
      "a\t\n\tb\n",
    ),
  )
  .filter((text) => !text.includes("\0") && text.isWellFormed());
const optional = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

const anySpec: fc.Arbitrary<JobSpec> = fc
  .record({
    run: fc.record({ command: fc.record({ script: anyText.filter((text) => text.trim() !== ""), stdin: optional(anyText) }) }),
    rules: fc.array(
      fc.record({
        mode: fc.constantFrom("onlyonce", "manyonce"),
        target: optional(fc.record({ labels: fc.constant({ role: ["a", "b"], "fleetcron.io/os": "!=linux" }) })),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    env: optional(fc.dictionary(fc.stringMatching(/^[A-E][A-Z0-9_]{0,5}$/), anyText)),
    timeout: optional(fc.constantFrom("0", "1h30m", "250ms")),
    pause: optional(fc.boolean()),
    retry: optional(fc.constant({ limit: 2, jitter: 0.5 })),
    success: optional(fc.constant({ exitCodes: [0, 3] })),
  })
  .map((spec) => JSON.parse(JSON.stringify(spec)) as JobSpec);

test("any job is read back as it was", (t) => {
  fc.assert(
    fc.property(fc.array(anySpec, { minLength: 1, maxLength: 3 }), (specs) => {
      const jobs = specs.map((spec, i) => ({ group: "g", id: `j${i}`, spec }));
      const text = jobsToYaml(jobs);
      const back = parseJobFile(Buffer.from(text), "x");
      t.deepEqual(
        back.map(({ group, id, spec }) => ({ group, id, spec })),
        jobs,
        text,
      );
    }),
    { numRuns: 1000 },
  );
});

test("the text is as one would write it", (t) => {
  const spec: JobSpec = {
    run: { command: { script: "set -e\nmake\n", user: "ci" } },
    rules: [{ mode: "cycle", timer: "30 2 * * *", target: { labels: { role: "db" } } }],
    retry: { limit: 2, delay: "1m" },
  };
  t.is(
    jobsToYaml([{ group: "ci", id: "build", spec }]),
    `jobs:
  ci/build:
    run:
      command:
        script: |
          set -e
          make
        user: ci
    rules:
      - mode: cycle
        timer: "30 2 * * *"
        target:
          labels: { role: db }
    retry: { limit: 2, delay: 1m }
`,
  );
});

test("the JSON Schema describes every field", (t) => {
  const schema = jobFileSchema();
  t.is(schema.$schema, "https://json-schema.org/draft/2020-12/schema");
  const undescribed: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key !== "properties") walk(value, path);
      else
        for (const [name, field] of Object.entries(value as Record<string, { description?: string }>)) {
          if (field.description === undefined) undescribed.push(`${path}.${name}`);
          walk(field, `${path}.${name}`);
        }
    }
  };
  walk(schema, "");
  t.deepEqual(undescribed, []);
  t.true(JSON.stringify(schema).includes('"pattern":"^(0|(\\\\d+'), "durations keep their pattern");
});
