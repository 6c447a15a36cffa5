import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "ava";
import { EXECUTION_EDGES } from "fleetcron-agent/run/execution";
import { RUN_AGAIN, RUN_EDGES, TASK_AGAIN, TASK_EDGES } from "fleetcron-shared/model/pipeline/run-document";
import { createKeys } from "fleetcron-shared/wire/keys";
import { GENERATED, renew } from "./docs.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

test("the tables in docs/errors.md and docs/jobs.md are those of the code (npm run docs)", (t) => {
  for (const name of Object.keys(GENERATED)) t.is(read(`docs/${name}`), renew(name, read(`docs/${name}`)), name);
  t.regex(read("docs/errors.md"), /\| `internal\/bug` \| 500 \| 1 \| no \|/);
  t.regex(read("docs/jobs.md"), /\| `misfireWindow` \| A tick older than this/);
});

test("docs/keys.md lists each family of keys, and no other", (t) => {
  const parts = ["a", "b", "c", 0] as const;
  const families = Object.entries(createKeys("/p")).flatMap(([name, key]) => {
    if (name === "parts" || name === "prefix" || name === "all") return [];
    const text = typeof key === "string" ? key : (key as (...args: unknown[]) => string)(...parts);
    return [text.split("/")[2] ?? ""];
  });
  const listed = [...read("docs/keys.md").matchAll(/^\| `([a-z]+)[/`]/gm)].map((match) => match[1] ?? "");
  t.deepEqual([...new Set(listed)].sort(), [...new Set(families)].sort());
});

test("docs/states.md has the edges of an execution, and every outcome's word", (t) => {
  const text = read("docs/states.md");
  const edges = Object.entries(EXECUTION_EDGES).flatMap(([from, to]) => to.map((state) => `${from} ${state}`));
  t.deepEqual(edgesIn(text, "An execution"), edges.sort());

  const source = read("packages/shared/src/model/record.ts");
  const union = (name: string) =>
    [...(source.match(new RegExp(`type ${name} = ([^;]+);`))?.[1] ?? "").matchAll(/"(\w+)"/g)].map((match) => match[1]);
  const words = [
    ...[...source.matchAll(/readonly type: "(\w+)"/g)]
      .map((match) => match[1])
      .filter((type) => !["exit", "signal", "failed", "lost", "skipped", "missed"].includes(type ?? "")),
    "exit:<code>",
    "signal:<NAME>",
    "failed:<code>",
    ...union("LostWhy").map((why) => `lost:${why}`),
    ...union("SkipReason").map((reason) => `skipped:${reason}`),
    ...union("MissReason").map((reason) => `missed:${reason}`),
  ];
  const listed = [...text.matchAll(/^\| `([a-z]+(?::[^`]+)?|[a-z]+[A-Z]\w+)` \| [^`|]/gm)].map((match) => match[1]);
  t.deepEqual(listed.sort(), words.sort());
});

/** The edges of the table in a section: each state of its first column with each of its second. */
function edgesIn(text: string, section: string): string[] {
  const body = text.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const words = (cell = "") => [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]);
  const rows = [...body.matchAll(/^\| (`[^|]+) \| (`[^|]+) \|/gm)];
  return [...new Set(rows.flatMap(([, from, to]) => words(from).flatMap((a) => words(to).map((b) => `${a} ${b}`))))].sort();
}

test("docs/states.md has the edges of a pipeline's runs and tasks", (t) => {
  const text = read("docs/states.md");
  const all = (...tables: Readonly<Record<string, string | readonly string[] | undefined>>[]) =>
    tables.flatMap((table) => Object.entries(table).flatMap(([from, to]) => [to ?? []].flat().map((state) => `${from} ${state}`))).sort();
  t.deepEqual(edgesIn(text, "A run of a pipeline"), all(RUN_EDGES, RUN_AGAIN));
  t.deepEqual(edgesIn(text, "A task of a run"), all(TASK_EDGES, TASK_AGAIN));
});

test("docs/architecture.md names each folder of the packages", (t) => {
  const text = read("docs/architecture.md");
  for (const name of ["shared", "agent", "master"]) {
    for (const entry of readdirSync(join(root, "packages", name, "src"), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const row = name === "shared" ? `| \`${entry.name}\` |` : `| \`packages/${name}/src/${entry.name}\` |`;
      t.is(text.split(row).length - 1, 1, row);
    }
  }
});

test("links between the documents lead somewhere", (t) => {
  for (const file of [...globSync("*.md", { cwd: root }), ...globSync("docs/*.md", { cwd: root })]) {
    for (const [, target] of read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      t.true(existsSync(join(root, dirname(file), target ?? "")), `${file} → ${target}`);
    }
  }
});

test("files that the documents name are there", (t) => {
  for (const file of [...globSync("*.md", { cwd: root }), ...globSync("docs/*.md", { cwd: root })]) {
    for (const [, path] of read(file).matchAll(/`((?:packages|scripts|test|examples)\/[\w./-]+\.\w+)`/g))
      t.true(existsSync(join(root, path ?? "")), `${file} names ${path}`);
  }
});

test("docs/mflow-faults.md has a row for each fault, and its tests are there by their titles", (t) => {
  const text = read("docs/mflow-faults.md");
  const rows = [...text.matchAll(/^\| (\d+) \|(.*)\|$/gm)];
  t.deepEqual(
    rows.map(([, number]) => Number(number)),
    Array.from({ length: 64 }, (_, index) => index + 1),
  );
  for (const [, number, rest = ""] of rows) {
    const shown = rest.slice(rest.lastIndexOf(" | ") + 3).trim();
    const other = /^as (\d+)$/.exec(shown)?.[1];
    if (other !== undefined) {
      t.true(
        rows.some((row) => row[1] === other),
        `${number}: ${shown}`,
      );
      continue;
    }
    const tests = [...shown.matchAll(/`([\w./-]+\.test\.ts)`: (.+?)(?=; `|$)/g)];
    t.true(tests.length > 0, `${number} names no test`);
    for (const [, file = "", title = ""] of tests) t.true(read(file).includes(title), `${number}: ${file} has no test "${title}"`);
  }
});
