import test from "ava";
import { checkShape, folderOf, resolveImport } from "./shape/rules.ts";
import { scan } from "./shape/scan.ts";

/** The findings of some files, each as `path:line message`. */
function shape(files: Record<string, string>): string[] {
  return checkShape(Object.entries(files).map(([path, text]) => scan(path, text))).map(
    ({ path, line, message }) => `${path}:${line} ${message}`,
  );
}

/** The findings of one file in a place where nothing else is wrong. */
function one(text: string, path = "packages/agent/src/plan/a.ts"): string[] {
  return shape({ [path]: text });
}

test("a file in order has no findings", (t) => {
  t.deepEqual(
    shape({
      "packages/shared/src/base/a.ts": "export const a = 1;\n",
      "packages/shared/src/model/b.ts": 'import { a } from "../base/a.ts";\nexport const b = a;\n',
      "packages/agent/src/plan/c.ts": 'import { b } from "fleetcron-shared/model/b";\nexport const c = b;\n',
      "packages/agent/src/agent.ts": 'import { c } from "./plan/c.ts";\nexport const d = c;\n',
    }),
    [],
  );
});

test("imports against the data's way are refused, as types too", (t) => {
  const [value] = one('import { x } from "../run/b.ts";\n');
  t.regex(value ?? "", /^packages\/agent\/src\/plan\/a\.ts:1 agent\/plan must not import agent\/run/);
  t.is(one('\nimport type { X } from "../run/b.ts";\n').length, 1);
  t.is(one('import { x } from "../model/b.ts";\n', "packages/shared/src/base/a.ts").length, 1);
  t.is(one('import { x } from "fleetcron-agent/run/b";\n', "packages/master/src/leader/a.ts").length, 1);
  t.is(one('const x = await import("../run/b.ts");\n').length, 1);
  t.is(one('import { x } from "../../../../test/support/etcd.ts";\n').length, 1);
  t.is(one('import { x } from "../watch/b.ts";\n').length, 1);
  t.deepEqual(one('import { x } from "../plan/b.ts";\n', "packages/agent/src/watch/a.ts"), []);
});

test("a folder without a place in the table is refused", (t) => {
  t.regex(
    one('import { x } from "fleetcron-shared/base/a";\n', "packages/agent/src/misc/a.ts")[0] ?? "",
    /agent\/misc is not in the table/,
  );
});

test("libraries stay behind the file that wraps them", (t) => {
  const text = 'import { Etcd3 } from "etcd3";\n';
  t.regex(one(text)[0] ?? "", /etcd3 may only be imported in shared\/src\/store\/etcd-kv\.ts/);
  t.deepEqual(one(text, "packages/shared/src/store/etcd-kv.ts"), []);
  t.is(one('import { scheduler } from "node:timers/promises";\n').length, 1);
  t.deepEqual(one('import { readFile } from "node:fs/promises";\n'), []);
});

test("some folders may only know types of others", (t) => {
  t.is(one('import { x } from "../run/b.ts";\n', "packages/agent/src/runners/a.ts").length, 1);
  t.deepEqual(one('import type { X } from "../run/b.ts";\n', "packages/agent/src/runners/a.ts"), []);
  const path = "packages/master/src/client/a.ts";
  t.is(one('import { x } from "../http/b.ts";\n', path).length, 1);
  t.deepEqual(one('import type { X } from "../http/b.ts";\n', path), []);
});

test("cycles of values are found, cycles of types are not", (t) => {
  const path = (name: string) => `packages/agent/src/plan/${name}.ts`;
  const found = shape({
    [path("a")]: 'import { b } from "./b.ts";\n',
    [path("b")]: '\nimport { c } from "./c.ts";\n',
    [path("c")]: '\n\nimport { a } from "./a.ts";\n',
  });
  t.is(found.length, 1);
  t.regex(found[0] ?? "", /c\.ts:3 import cycle a\.ts → b\.ts → c\.ts → a\.ts/);
  t.deepEqual(shape({ [path("a")]: 'import { b } from "./b.ts";\n', [path("b")]: 'import type { A } from "./a.ts";\n' }), []);
});

test("ambient calls are refused with their line", (t) => {
  for (const call of [
    "Date.now()",
    "new Date()",
    "new Date",
    "setTimeout(f, 1)",
    "setImmediate(f)",
    "Math.random()",
    "process.env.HOME",
    "process.exit(1)",
    "console.log(1)",
  ]) {
    const found = one(`\nexport const x = ${call};\n`);
    t.is(found.length, 1, call);
    t.regex(found[0] ?? "", /a\.ts:2 .* is not allowed here/, call);
  }
  t.deepEqual(one("export const x = [new Date(1), clock.setTimeout, Date.parse(s), clearTimeout(t)];\n"), []);
});

test("what stands in comments, strings, templates and regular expressions is no code", (t) => {
  t.deepEqual(
    one(
      "// Date.now()\n/* Math.random() */\nexport const x = 'Date.now()' + \"console.log\" + `Date.now() ${1} Math.random()` + /Math.random()['\"]/.source;\n",
    ),
    [],
  );
  t.is(one("export const x = `a ${`b ${Date.now()}`} Math.random()`;\n").length, 1);
  t.is(one("export const half = total / 2; export const now = Date.now() / 2;\n").length, 1);
  t.deepEqual(one("// import { x } from '../run/b.ts'\nexport const text = 'import { x } from \"../run/b.ts\"';\n"), []);
});

test("named files may read the clock, tests may, but wait for nothing", (t) => {
  t.deepEqual(one("export const now = () => Date.now();\n", "packages/shared/src/base/clock.ts"), []);
  t.deepEqual(one("const now = Date.now();\n", "test/integration/a.test.ts"), []);
  t.is(one("setTimeout(f, 100);\n", "test/integration/a.test.ts").length, 1);
  t.deepEqual(one("setTimeout(f, 100);\n", "test/support/until.ts"), []);
});

test("sizes, names, defaults, barrels and enums", (t) => {
  t.is(one("x;\n".repeat(300)).length, 0);
  t.is(one("x;\n".repeat(301)).length, 1);
  t.is(one("x;\n".repeat(400), "test/integration/a.test.ts").length, 0);
  t.is(one("x;\n".repeat(401), "test/integration/a.test.ts").length, 1);
  t.is(one("", "packages/agent/src/plan/jobHeap.ts").length, 1);
  t.is(one("", "packages/agent/src/plan/index.ts").length, 1);
  t.is(one("export default 1;\n").length, 1);
  t.is(one('export * from "./b.ts";\n').length, 1);
  t.is(one('export { b } from "./b.ts";\n').length, 1);
  t.is(one("export enum Kind { a }\n").length, 1);
  t.is(one("const enum Kind { a }\n").length, 1);
  t.deepEqual(one('export type Kind = "enum";\nexport type { Kind as K };\n'), []);
});

test("paths become folders, imports become paths", (t) => {
  t.is(folderOf("packages/agent/src/run/x.ts"), "agent/run");
  t.is(folderOf("packages/shared/src/model/calendar/x.ts"), "shared/model");
  t.is(folderOf("packages/agent/src/main.ts"), "agent/src");
  t.is(folderOf("packages/master/web/app.ts"), "master/web");
  t.is(folderOf("scripts/x.ts"), undefined);
  t.is(resolveImport("packages/agent/src/run/x.ts", "../plan/y.ts"), "packages/agent/src/plan/y.ts");
  t.is(resolveImport("packages/agent/src/run/x.ts", "fleetcron-shared/model/job"), "packages/shared/src/model/job.ts");
  t.is(resolveImport("packages/agent/src/run/x.ts", "fleetcron/main"), "packages/master/src/main.ts");
  t.is(resolveImport("packages/agent/src/run/x.ts", "node:fs"), undefined);
});
