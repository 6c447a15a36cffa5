import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { Command } from "commander";
import type { Context } from "fleetcron/cli/context";
import { createProgram } from "fleetcron/cli/program";

const root = join(import.meta.dirname, "..");
const context = { io: { out() {}, err() {}, version: "0.0.0", env: {} }, options: () => ({}) } as unknown as Context;

/** What is wrong with a command line as a document shows it: an unknown command, an unknown option. `a \| b` are alternatives. */
function faultOf(program: Command, line: string): string | undefined {
  let command = program;
  let parent = program;
  for (const word of line.replaceAll(/[[\]]/g, "").replaceAll("\\|", " | ").split(/\s+/).slice(1)) {
    if (word === "|") command = parent;
    else if (word.startsWith("-") && word !== "-") {
      const known = [command, command.parent, program].flatMap((one) => one?.options ?? []);
      const flag = word.replace(/=.*$/, "");
      if (flag !== "--help" && flag !== "-h" && !known.some((option) => option.short === flag || option.long === flag))
        return `${line}: no option ${word}`;
    } else {
      const next = command.commands.find((one) => one.name() === word);
      if (next === undefined && command.commands.length > 0) return `${line}: no command ${word}`;
      if (next !== undefined) {
        parent = command;
        command = next;
      }
    }
  }
  return undefined;
}

/** The command lines of a document: in code blocks up to a comment or a pipe, in code spans whole. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) => (block ?? "").split("\n"));
  const spans = [...text.replaceAll(/```[\s\S]*?```/g, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
  return [...blocks.map((line) => line.replace(/\s+#.*$/, "")), ...spans]
    .flatMap((line) => line.match(/\bfleetcron (?!…)[a-z].*$/)?.[0] ?? [])
    .filter((line) => !/^fleetcron \S*\//.test(line));
}

test("every command that README and docs show exists, with its options", (t) => {
  const program = createProgram(context);
  const files = ["README.md", "docs/guarantees.md", "docs/states.md", "docs/timers.md", "docs/architecture.md", "docs/jobs.md"];
  const lines = files.flatMap((file) => commandLines(readFileSync(join(root, file), "utf8")));
  t.true(lines.length > 30, `${lines.length} commands found`);
  t.deepEqual(
    lines.flatMap((line) => faultOf(program, line) ?? []),
    [],
  );
});

test("an unknown command or option in a document is found", (t) => {
  const program = createProgram(context);
  t.regex(faultOf(program, "fleetcron jobs ls") ?? "", /no command jobs/);
  t.regex(faultOf(program, "fleetcron job ls \\| shows") ?? "", /no command shows/);
  t.regex(faultOf(program, "fleetcron apply -f x --prunes") ?? "", /no option --prunes/);
  t.is(faultOf(program, "fleetcron job ls -o json --limit 3"), undefined);
});
