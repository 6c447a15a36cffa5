/**
 * Builds the console: packages/master/web → packages/master/web-dist, which is not in git. `npm run build` and scripts/setup call it, and a master
 * that is started from a checkout does when the built files are missing or older than their sources. Takes well under a second.
 */
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const MASTER = join(root, "packages/master");
const web = join(MASTER, "web");
export const WEB_DIST = join(MASTER, "web-dist");
/** Written last; its time is that of the newest source that was built. */
const STAMP = "built";
const KEPT_MS = 3_600_000;

/** What the bundle is made of: the console, the client that it speaks through, what that takes from `shared`, and the versions of libraries. */
const SOURCES = [
  "packages/master/web/**/*.{ts,tsx,css,html,svg}",
  "packages/master/src/client/*.ts",
  "packages/shared/src/base/*.ts",
  "packages/shared/src/model/record.ts",
  "package-lock.json",
  "scripts/build-web.ts",
];

/** Whether there is nothing to build. */
export function isBuilt(): boolean {
  const stamp = statSync(join(WEB_DIST, STAMP), { throwIfNoEntry: false });
  return stamp !== undefined && stamp.mtimeMs >= newestSource();
}

function newestSource(): number {
  return Math.max(...globSync(SOURCES, { cwd: root }).map((path) => statSync(join(root, path)).mtimeMs));
}

/** Several may build at once: each builds aside and puts its files in place. */
export async function buildWeb(target = WEB_DIST): Promise<void> {
  const aside = mkdtempSync(join(MASTER, ".web-dist-"));
  try {
    const { metafile } = await build({
      entryPoints: [join(web, "main.tsx")],
      outdir: join(aside, "console"),
      entryNames: "[name]-[hash]",
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      target: "es2022",
      jsx: "automatic",
      jsxImportSource: "preact",
      legalComments: "none",
      metafile: true,
      logLevel: "silent",
    });
    const outputs = Object.keys(metafile.outputs).map((path) => `/console/${basename(path)}`);
    const named = (end: string) => outputs.find((path) => path.endsWith(end)) ?? "";
    const page = readFileSync(join(web, "console.html"), "utf8").replace("{{style}}", named(".css")).replace("{{script}}", named(".js"));
    writeFileSync(join(aside, "console.html"), page);
    writeFileSync(join(aside, "console/icon.svg"), readFileSync(join(web, "icon.svg")));
    for (const path of globSync("**/*.{js,css}", { cwd: aside })) {
      writeFileSync(join(aside, `${path}.gz`), gzipSync(readFileSync(join(aside, path)), { level: 9 }));
    }
    writeFileSync(join(aside, STAMP), "");
    replace(aside, target);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** The page is put in place behind what it names, the stamp last. What was there before stays for a while, for who has just loaded the page of before. */
function replace(aside: string, target: string): void {
  mkdirSync(join(target, "console"), { recursive: true });
  const names = readdirSync(join(aside, "console"));
  const newest = statSync(join(aside, STAMP)).mtimeMs;
  for (const name of names) renameSync(join(aside, "console", name), join(target, "console", name));
  for (const name of ["console.html", STAMP]) renameSync(join(aside, name), join(target, name));
  for (const name of readdirSync(join(target, "console"))) {
    const path = join(target, "console", name);
    const madeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (!names.includes(name) && newest - madeMs > KEPT_MS) rmSync(path, { force: true });
  }
}

/** Builds when it must. */
export async function ensureWeb(): Promise<void> {
  if (!isBuilt()) await buildWeb();
}

if (import.meta.main) {
  if (!process.argv.includes("--if-needed") || !isBuilt()) {
    await buildWeb();
    console.log("built packages/master/web-dist");
  }
}
