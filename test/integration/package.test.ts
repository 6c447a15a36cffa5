import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const pinned = join(root, "node_modules/.bin");

test("the packed packages install into an empty folder and both programs start there", async (t) => {
  t.timeout(300_000);
  const home = await mkdtemp(join(tmpdir(), "fleetcron-package-"));
  t.teardown(() => rm(home, { recursive: true, force: true }));
  const env = { ...process.env, PATH: `${pinned}:${process.env.PATH}` };

  await run(join(root, "scripts/pack"), [join(home, "tarballs")], { env });
  const tarballs = (await readdir(join(home, "tarballs"))).sort();
  t.is(tarballs.length, 3, tarballs.join(" "));

  await writeFile(join(home, "package.json"), '{"private":true}');
  const install = [
    "install",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    ...tarballs.map((name) => `./tarballs/${name}`),
  ];
  await run("npm", install, { cwd: home, env });

  for (const program of ["fleetcron", "fleetcron-agent"]) {
    const bin = join(home, "node_modules/.bin", program);
    const version = await run(bin, ["--version"], { cwd: home, env });
    t.regex(version.stdout, /^\d+\.\d+\.\d+/, program);
    const help = await run(bin, ["--help"], { cwd: home, env });
    t.regex(help.stdout, new RegExp(`Usage: ${program}\\b`), program);
  }
  const { stdout } = await run(join(home, "node_modules/.bin/fleetcron"), ["version"], { cwd: home, env });
  t.regex(stdout, /\d+\.\d+\.\d+/);

  const web = join(home, "node_modules/fleetcron/web-dist");
  const page = await readFile(join(web, "console.html"), "utf8");
  const named = [...page.matchAll(/"\/(console\/[^"]+)"/g)].map(([, name = ""]) => name);
  t.is(named.length, 3, page);
  for (const name of named) t.true((await readFile(join(web, name))).length > 0, name);

  const sources = await readdir(join(home, "node_modules/fleetcron-shared/src"), { recursive: true });
  t.deepEqual(
    sources.filter((name) => name.includes(".test.") || (name.endsWith(".ts") && !name.endsWith(".d.ts"))),
    [],
    "only built files are shipped, no tests",
  );
});
