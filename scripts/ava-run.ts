/**
 * Runs ava and says honestly how it went: the last line is `N passed, N failed` alone, and the exit code agrees with it. ava's own summary
 * is not enough (a timeout ends without a plan, an open handle fails with no failed test, a todo counts as failed), so its TAP is read.
 * A file with a failed test runs once more, alone: what passes then is counted as passed and named as unsteady, with the details of its
 * failure, because on a machine that is shared a failure among hundreds of others may be the machine's. What went wrong is told again at
 * the end, where the one who reads the log looks first.
 * Used by `npm test` and by scripts/test. Arguments are ava's: files, `--match` …
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join, sep } from "node:path";
import { createInterface } from "node:readline";

/** How many tests (or checks) passed and failed. */
export type Tally = { readonly passed: number; readonly failed: number };

/** A failed test: its title as ava prints it, with its file's path in front where several files ran, and the lines that say why. */
export type Failure = { readonly title: string; readonly details: readonly string[] };

const root = join(import.meta.dirname, "..");

/** Reads ava's TAP line by line: `line` returns what to print, `end` the tally once ava has ended with `exitCode`. */
export function createTapReader() {
  let passed = 0;
  let left = 0;
  let planned = false;
  let inFailure = false;
  const failures: { title: string; details: string[] }[] = [];
  return {
    line(line: string): string | undefined {
      const result = line.match(/^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO).*)?$/);
      if (result) {
        inFailure = false;
        const [, not, title = "", directive] = result;
        if (directive !== undefined) {
          left++;
          return `- ${title} (${directive.toLowerCase()})`;
        }
        if (not === undefined) {
          passed++;
          return `✔ ${title}`;
        }
        inFailure = true;
        failures.push({ title, details: [] });
        return `✘ ${title}`;
      }
      if (/^1\.\.\d+$/.test(line)) {
        planned = true;
        inFailure = false;
      }
      if (!inFailure) return undefined;
      failures.at(-1)?.details.push(line);
      return line;
    },
    end(exitCode: number): Tally & { readonly failures: readonly Failure[]; readonly notes: readonly string[] } {
      const failed = failures.length;
      const notes: string[] = [];
      if (left > 0) notes.push(`(${left} skipped or to do)`);
      if (!planned) notes.push("✘ ava ended without a plan: it crashed, was killed, or no test made progress for its timeout");
      else if (passed + failed === 0) notes.push("✘ no test ran");
      else if (exitCode !== 0 && failed === 0)
        notes.push(`✘ ava ended with ${exitCode} although no test failed (an open handle, or an error outside the tests)`);
      else return { passed, failed, failures, notes };
      return { passed, failed: failed + 1, failures, notes };
    },
  };
}

/** The file among `files` (paths from the root) that a title of a run over several files begins with; its path itself stands before how its process ended. */
export function fileOf(title: string, files: readonly string[]): string | undefined {
  const prefix = (file: string) =>
    `${file
      .replace(/\.test\.ts$/, "")
      .split(sep)
      .join(" › ")} › `;
  return files.filter((file) => title.startsWith(prefix(file)) || title.startsWith(`${file} `)).sort((a, b) => b.length - a.length)[0];
}

/** Runs ava with `args`, and files with failures once more; echoes results as they come. */
export async function runAva(args: readonly string[]): Promise<Tally> {
  const first = await once(args);
  const known = globSync(["packages/*/{src,web}/**/*.test.ts", "scripts/**/*.test.ts", "test/**/*.test.ts"], { cwd: root });
  const byFile = Map.groupBy(first.failures, ({ title }) => fileOf(title, known));
  const unsteady: Failure[] = [];
  const lasting: Failure[] = [...(byFile.get(undefined) ?? [])];
  for (const [file, failures] of byFile) {
    if (file === undefined) continue;
    console.log(`… ${file} once more, alone`);
    const again = await once(["--serial", file]);
    (again.failed === 0 ? unsteady : lasting).push(...failures);
  }
  tell("unsteady (failed among the others, passed alone)", unsteady);
  tell("failed", lasting);
  return { passed: first.passed + unsteady.length, failed: first.failed - unsteady.length };
}

function tell(what: string, failures: readonly Failure[]): void {
  if (failures.length === 0) return;
  console.log(`\n${failures.length} ${what}:`);
  for (const { title, details } of failures) console.log([`  ${title}`, ...details.slice(0, 40)].join("\n"));
}

async function once(args: readonly string[]) {
  const argv = [
    "--import",
    join(import.meta.dirname, "tap-details.ts"),
    join(root, "node_modules/ava/entrypoints/cli.js"),
    "--tap",
    ...args,
  ];
  const child = spawn(process.execPath, argv, { cwd: root, stdio: ["ignore", "pipe", "inherit"], env: pinnedEnv() });
  const exited = new Promise<number>((resolve) => {
    child.on("error", () => resolve(127));
    child.on("exit", (code) => resolve(code ?? 128));
  });
  const reader = createTapReader();
  for await (const line of createInterface({ input: child.stdout })) {
    const text = reader.line(line);
    if (text !== undefined) console.log(text);
  }
  const outcome = reader.end(await exited);
  for (const note of outcome.notes) console.log(note);
  return outcome;
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
