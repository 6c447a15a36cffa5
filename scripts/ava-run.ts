/**
 * Runs ava and says honestly how it went: the last line is `N passed, N failed` alone, and the exit code agrees with it. ava's own summary
 * is not enough (a timeout ends without a plan, an open handle fails with no failed test, a todo counts as failed), so its TAP is read.
 * Used by `npm test` and by scripts/test. Arguments are ava's: files, `--match` …
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** How many tests (or checks) passed and failed. */
export type Tally = { readonly passed: number; readonly failed: number };

const root = join(import.meta.dirname, "..");

/** Reads ava's TAP line by line: `line` returns what to print, `end` the tally once ava has ended with `exitCode`. */
export function createTapReader() {
  let passed = 0;
  let failed = 0;
  let left = 0;
  let planned = false;
  let inFailure = false;
  return {
    line(line: string): string | undefined {
      const result = line.match(/^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO).*)?$/);
      if (result) {
        inFailure = false;
        const [, not, title, directive] = result;
        if (directive !== undefined) {
          left++;
          return `- ${title} (${directive.toLowerCase()})`;
        }
        if (not === undefined) {
          passed++;
          return `✔ ${title}`;
        }
        failed++;
        inFailure = true;
        return `✘ ${title}`;
      }
      if (/^1\.\.\d+$/.test(line)) {
        planned = true;
        inFailure = false;
      }
      return inFailure ? line : undefined;
    },
    end(exitCode: number): Tally & { readonly notes: readonly string[] } {
      const notes: string[] = [];
      if (left > 0) notes.push(`(${left} skipped or to do)`);
      if (!planned) notes.push("✘ ava ended without a plan: it crashed, was killed, or no test made progress for its timeout");
      else if (passed + failed === 0) notes.push("✘ no test ran");
      else if (exitCode !== 0 && failed === 0)
        notes.push(`✘ ava ended with ${exitCode} although no test failed (an open handle, or an error outside the tests)`);
      else return { passed, failed, notes };
      return { passed, failed: failed + 1, notes };
    },
  };
}

/** Runs ava with `args`, echoing results as they come. */
export async function runAva(args: readonly string[]): Promise<Tally> {
  const child = spawn(process.execPath, [join(root, "node_modules/ava/entrypoints/cli.js"), "--tap", ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    env: pinnedEnv(),
  });
  const exited = new Promise<number>((resolve) => {
    child.on("error", () => resolve(127));
    child.on("exit", (code) => resolve(code ?? 128));
  });
  const reader = createTapReader();
  for await (const line of createInterface({ input: child.stdout })) {
    const text = reader.line(line);
    if (text !== undefined) console.log(text);
  }
  const { notes, ...tally } = reader.end(await exited);
  for (const note of notes) console.log(note);
  return tally;
}

/** Our environment with the pinned Node first on the path, for whatever a test starts by name. */
export function pinnedEnv(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}` };
}

/** Prints the closing line and sets the exit code by it. */
export function close({ passed, failed }: Tally): void {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

if (import.meta.main) close(await runAva(process.argv.slice(2)));
