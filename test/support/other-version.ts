/** The agent in another version, as an upgrade would install it: a copy of its package with a manifest of its own, beside the same dependencies. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Makes the copy in `folder`, which must not exist; returns the path of its program. */
export function agentOfVersion(folder: string, version: string): string {
  const source = join(root, "packages/agent");
  const copy = join(folder, "packages/agent");
  mkdirSync(copy, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const part of ["bin", "src"]) cpSync(join(source, part), join(copy, part), { recursive: true });
  const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as object;
  writeFileSync(join(copy, "package.json"), JSON.stringify({ ...manifest, version }));
  return join(copy, "bin/fleetcron-agent.js");
}
