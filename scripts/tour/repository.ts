/** A Git repository made on the spot, with what the example pipeline wants to find in one. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILES: Readonly<Record<string, string>> = {
  app: 'echo "hello $1"\n',
  build: "sh -n app && tar -cf app.tar app && ls -l app.tar\n",
  check: 'test "$(sh app world)" = "hello world" && echo "1 test passed"\n',
  deploy: 'sh app "from $FLEETCRON_NODE"\n',
};

/** Makes the repository `folder/app.git`, with one commit on the branch `main`, and returns its path. Needs `git`. */
export function makeRepository(folder: string): string {
  const path = join(folder, "app.git");
  mkdirSync(path);
  const git = (...args: readonly string[]) => execFileSync("git", ["-C", path, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  git("init", "--quiet");
  git("symbolic-ref", "HEAD", "refs/heads/main");
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(path, name), `#!/bin/sh\n${text}`, { mode: 0o755 });
  git("add", ".");
  git(
    "-c",
    "user.name=Fleetcron",
    "-c",
    "user.email=demo@example.org",
    "-c",
    "commit.gpgsign=false",
    "commit",
    "--quiet",
    "-m",
    "An app that says hello",
  );
  return path;
}
