/**
 * `npm run build`: the three packages as they are published, each in packages/<name>/dist: JavaScript and declarations by tsc, the
 * bins (they start the JavaScript where there is no source), the console's files with the master, and a package.json whose exports lead to them (in the repository they lead to the sources).
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildWeb } from "./build-web.ts";

const root = join(import.meta.dirname, "..");
const built = join(root, "dist");

/** What a package ships beside its code, when it has it. */
const EXTRAS = ["launch.js", "systemd", "examples", "README.md"];
/** The console's files, of the master. */
const WEB = "web-dist";

type Manifest = Record<string, unknown> & { readonly bin?: Readonly<Record<string, string>>; readonly exports?: object };

/** The manifest to publish, from the one of the workspace. */
function publishedManifest(manifest: Manifest): Manifest {
  return {
    ...manifest,
    exports: { ...manifest.exports, "./*": { types: "./src/*.d.ts", default: "./src/*.js" }, "./package.json": "./package.json" },
    files: ["src", "bin", WEB, ...EXTRAS, "LICENSE"],
  };
}

function buildPackage(name: string): void {
  const home = join(root, "packages", name);
  const dist = join(home, "dist");
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  renameSync(join(built, name, "src"), join(dist, "src"));
  for (const file of globSync("src/**/*.{json,c,sh}", { cwd: home })) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    copyFileSync(join(home, file), join(dist, file));
  }
  const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as Manifest;
  for (const bin of Object.values(manifest.bin ?? {})) {
    mkdirSync(dirname(join(dist, bin)), { recursive: true });
    copyFileSync(join(home, bin), join(dist, bin));
    chmodSync(join(dist, bin), 0o755);
  }
  for (const extra of EXTRAS) if (existsSync(join(home, extra))) cpSync(join(home, extra), join(dist, extra), { recursive: true });
  if (!existsSync(join(dist, "README.md"))) copyFileSync(join(root, "README.md"), join(dist, "README.md"));
  copyFileSync(join(root, "LICENSE"), join(dist, "LICENSE"));
  writeFileSync(join(dist, "package.json"), `${JSON.stringify(publishedManifest(manifest), null, 2)}\n`);
}

rmSync(built, { recursive: true, force: true });
const { status } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (status !== 0) process.exit(1);
for (const name of ["shared", "agent", "master"]) buildPackage(name);
await buildWeb(join(root, "packages/master/dist", WEB));
rmSync(built, { recursive: true, force: true });
console.log("built packages/{shared,agent,master}/dist");
