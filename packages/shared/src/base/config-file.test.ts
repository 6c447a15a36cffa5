import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { z } from "zod";
import { loadConfig, renderConfig } from "./config-file.ts";
import { type AppError, formatIssue } from "./errors.ts";
import { expected } from "./zod-issues.ts";

const schema = z.object({
  node: z.string({ error: expected("a node id") }).exactOptional(),
  dataDir: z.string().default("/var/lib/x"),
  capacity: z.int().min(1).default(10),
  verbose: z.boolean().default(false),
  etcdUrls: z.array(z.string()).default(["http://127.0.0.1:2379"]),
  labels: z.record(z.string(), z.string()).default({}),
  password: z.string().exactOptional(),
});

const folder = mkdtempSync(join(tmpdir(), "config-test-"));
test.after.always(() => rmSync(folder, { recursive: true }));

function load(input: { text?: string; env?: Record<string, string>; flags?: Record<string, unknown> }) {
  const file = input.text === undefined ? undefined : join(folder, `${test.meta.file.length}-${Math.abs(hash(input.text))}.yaml`);
  if (file !== undefined) writeFileSync(file, input.text ?? "");
  return loadConfig({ schema, file, env: input.env ?? {}, flags: input.flags ?? {}, envPrefix: "APP_", program: "app" });
}
const hash = (text: string) => [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) | 0, 7);
function refusal(input: Parameters<typeof load>[0]): string[] {
  const error = (() => {
    try {
      load(input);
    } catch (thrown) {
      return thrown as AppError;
    }
    throw new Error("it was accepted");
  })();
  return [error.code, ...error.issues.map((issue) => formatIssue(issue).replaceAll(/\S*\.yaml/g, "FILE"))];
}

test("defaults, then file, then environment, then flags", (t) => {
  t.is(load({}).capacity, 10);
  const text = "capacity: 1\nverbose: true\ndataDir: /file\n";
  const config = load({ text, env: { APP_CAPACITY: "2", APP_DATA_DIR: "/env" }, flags: { capacity: "3", verbose: undefined, other: 1 } });
  t.deepEqual([config.capacity, config.dataDir, config.verbose], [3, "/env", true]);
});

test("texts become what the setting is", (t) => {
  const config = load({ env: { APP_ETCD_URLS: "a, b", APP_LABELS: "role=db,x=a=b", APP_VERBOSE: "true" }, flags: { node: "5" } });
  t.deepEqual(config.etcdUrls, ["a", "b"]);
  t.deepEqual(config.labels, { role: "db", x: "a=b" });
  t.true(config.verbose);
  t.is(config.node, "5");
  t.deepEqual(load({ flags: { labels: ["a=1", "b=2,c=3"], etcdUrls: ["x", "y,z"] } }).labels, { a: "1", b: "2", c: "3" });
});

test("the value is frozen to the bottom", (t) => {
  const config = load({ text: "labels: { a: b }\n" });
  t.true(Object.isFrozen(config) && Object.isFrozen(config.labels));
});

test("unknown settings are errors with the nearest name", (t) => {
  t.deepEqual(
    refusal({
      text: "capacity: 1\ndatadir: /x\nbanana: 1\n",
      env: { APP_CAPACTY: "1", APP_PORT_80_TCP: "x", APP_CONFIG: "x", OTHER: "1" },
    }),
    [
      "config/invalid",
      'FILE:2: datadir: there is no such setting (did you mean "dataDir"?)',
      "FILE:3: banana: there is no such setting (allowed: node, dataDir, capacity, verbose, etcdUrls, labels, password)",
      'APP_CAPACTY: there is no such setting (did you mean "APP_CAPACITY"?)',
    ],
  );
});

test("wrong values name their source", (t) => {
  t.deepEqual(refusal({ text: "\ncapacity: many\nlabels: { a: 1 }\n", env: { APP_VERBOSE: "maybe" }, flags: { etcdUrls: 5, node: 7 } }), [
    "config/invalid",
    '--node: found the number 7; a node id is expected (put it in quotes: "7")',
    'FILE:2: capacity: found "many"; a number is expected',
    'APP_VERBOSE: found "maybe"; true or false is expected',
    "--etcd-urls: found the number 5; a list is expected",
    "FILE:3: labels.a: found the number 1; text is expected",
  ]);
  t.deepEqual(refusal({ flags: { capacity: "0" } }), ["config/invalid", "--capacity: found the number 0; at least 1 is needed"]);
});

test("what is missing names the three ways to give it", (t) => {
  const input = { schema: z.object({ dataDir: z.string() }), env: {}, flags: {}, envPrefix: "APP_", program: "app" };
  const error = t.throws(() => loadConfig(input)) as AppError;
  t.is(
    formatIssue(error.issues[0] ?? { message: "" }),
    "dataDir: is missing; text is expected (give it as --data-dir, as APP_DATA_DIR or in the configuration file)",
  );
});

test("a file that was asked for must exist, a default one need not", (t) => {
  const input = { schema, env: {}, flags: {}, envPrefix: "APP_", program: "app" };
  t.is(loadConfig({ ...input, defaultFile: join(folder, "none.yaml") }).capacity, 10);
  t.throws(() => loadConfig({ ...input, file: join(folder, "none.yaml") }), {
    message: /none\.yaml cannot be read: there is no such file/,
  });
  t.throws(() => loadConfig({ ...input, env: { APP_CONFIG: join(folder, "none.yaml") } }), { message: /no such file/ });
  t.throws(() => loadConfig({ ...input, file: folder }), { message: /cannot be read/ });
});

test("broken files are refused with the line", (t) => {
  t.deepEqual(refusal({ text: "a: 1\n\tb: 2\n" }).length > 1, true);
  t.regex(refusal({ text: "- a\n" })[1] ?? "", /FILE:1: found a list; a configuration file is a mapping/);
  t.regex(refusal({ text: "capacity: 1\n---\ncapacity: 2\n" })[1] ?? "", /FILE:3: the file holds more than one document/);
  t.is(load({ text: "# nothing\n" }).capacity, 10);
});

test("printing masks secrets", (t) => {
  const text = renderConfig(load({ env: { APP_PASSWORD: "hunter2", APP_ETCD_URLS: "http://root:pw@h:1" } }), ["password"]);
  t.false(text.includes("hunter2") || text.includes("pw@"));
  t.true(text.includes("password: ") && text.includes("capacity: 10") && text.includes("http://root:"));
  t.false(text.includes("node:"));
});
