/** What `scripts/test` runs once everything is installed: types, lint and shape (one check each), then every test. With files: only those tests. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { close, pinnedEnv, runAva, type Tally } from "./ava-run.ts";

const root = join(import.meta.dirname, "..");
const bin = (name: string) => join(root, "node_modules/.bin", name);

const CHECKS: readonly { readonly name: string; readonly argv: readonly [string, ...string[]] }[] = [
  { name: "types", argv: [bin("tsc"), "--noEmit", "-p", "tsconfig.json"] },
  { name: "types of the console", argv: [bin("tsc"), "--noEmit", "-p", "packages/master/web/tsconfig.json"] },
  { name: "lint and format", argv: [bin("biome"), "ci", "--error-on-warnings", "--colors=off", "."] },
  { name: "shape", argv: [process.execPath, join(root, "scripts/check-shape.ts")] },
];

/** Runs one command; its output is shown only when it fails. */
async function check(name: string, [command, ...args]: readonly [string, ...string[]]): Promise<boolean> {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], env: pinnedEnv() });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => output.push(chunk));
  const ok = await new Promise<boolean>((resolve) => {
    child.on("error", (error) => {
      output.push(Buffer.from(`${error.message}\n`));
      resolve(false);
    });
    child.on("close", (code) => resolve(code === 0));
  });
  console.log(`${ok ? "✔" : "✘"} ${name}`);
  if (!ok) process.stdout.write(Buffer.concat(output));
  return ok;
}

const files = process.argv.slice(2);
const tallies: Tally[] = [];
if (files.length === 0) {
  for (const { name, argv } of CHECKS) tallies.push((await check(name, argv)) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
}
tallies.push(await runAva(files));
close({ passed: tallies.reduce((sum, tally) => sum + tally.passed, 0), failed: tallies.reduce((sum, tally) => sum + tally.failed, 0) });
