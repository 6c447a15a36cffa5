import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { filesOf } from "./bundle-files.ts";
import { placePackages } from "./bundle-packages.ts";

/** Packages by folder; each manifest is given. */
function makeTree(packages: Readonly<Record<string, object>>) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "fleetcron-bundle-")));
  for (const [folder, manifest] of Object.entries(packages)) {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, "package.json"), JSON.stringify(manifest));
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

const needs = (...names: string[]) => ({ dependencies: Object.fromEntries(names.map((name) => [name, "1"])) });

test("each package finds the very same ones in the bundle: two versions of one, ours beside node_modules, nothing for development", (t) => {
  using tree = makeTree({
    "packages/agent": { ...needs("a", "b", "fleetcron-shared"), devDependencies: { dev: "1" } },
    "packages/shared": needs("b"),
    "node_modules/dev": {},
    "node_modules/a": needs("b"),
    "node_modules/a/node_modules/b": needs("c"),
    "node_modules/b": needs("c", "a"),
    "node_modules/c": {},
  });
  symlinkSync("../packages/shared", join(tree.root, "node_modules/fleetcron-shared"));
  const places = placePackages(join(tree.root, "packages/agent"), process.arch).map(({ place, folder }) => [
    place,
    folder.slice(tree.root.length + 1),
  ]);
  t.deepEqual(places, [
    ["packages/fleetcron-agent", "packages/agent"],
    ["node_modules/a", "node_modules/a"],
    ["node_modules/b", "node_modules/b"],
    ["packages/fleetcron-shared", "packages/shared"],
    ["node_modules/a/node_modules/b", "node_modules/a/node_modules/b"],
    ["node_modules/c", "node_modules/c"],
  ]);
});

test("an optional package for a processor goes with that processor, and its lack is told", (t) => {
  const own = `native-linux-${process.arch}`;
  const other = process.arch === "x64" ? "arm64" : "x64";
  const optionalDependencies = { [own]: "1", [`native-linux-${other}`]: "1", "native-win32-x64": "1", never: "1" };
  using tree = makeTree({
    agent: needs("native"),
    "agent/node_modules/native": { optionalDependencies, dependencies: optionalDependencies },
    [`agent/node_modules/${own}`]: { cpu: [process.arch], os: ["linux"] },
    "agent/node_modules/native-win32-x64": { cpu: ["x64"], os: ["win32"] },
  });
  const names = (arch: string) => placePackages(join(tree.root, "agent"), arch).map(({ name }) => name);
  t.deepEqual(names(process.arch), ["fleetcron-agent", "native", own]);
  t.throws(() => names(other), { message: new RegExp(`native-linux-${other}, which is not installed here`) });
  rmSync(join(tree.root, "agent/node_modules/native"), { recursive: true });
  t.throws(() => names(process.arch), { message: /needs the package native/ });
});

test("only what runs is taken", (t) => {
  using tree = makeTree({ p: {} });
  const folder = join(tree.root, "p");
  for (const name of ["src", "dist", "node_modules", ".git"]) mkdirSync(join(folder, name));
  for (const name of [
    "index.js",
    "index.d.ts",
    "index.js.map",
    "README.md",
    "LICENSE.md",
    "src/a.ts",
    "src/a.test.ts",
    "src/x.c",
    "dist/a.js",
    "node_modules/n.js",
    ".git/x",
  ])
    writeFileSync(join(folder, name), "");
  const files = (isOwn: boolean) => filesOf({ name: "p", folder, place: "at", isOwn }).map(({ path }) => path);
  t.deepEqual(files(false), ["at/LICENSE.md", "at/dist/a.js", "at/index.js", "at/package.json"]);
  t.deepEqual(files(true), ["at/package.json", "at/src/a.ts"]);
});
