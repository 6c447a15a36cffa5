/** Programs of Debian's packages without installing them: what is on the PATH, else the packages unpacked in a folder of ours. No service is started. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Unavailable } from "./peer.ts";

const PLACES = ["usr/bin", "usr/sbin", "bin", "sbin"];

export type Unpacked = { readonly program: string; readonly root: string; readonly env: NodeJS.ProcessEnv };

/** `packages`: the one with the program, and those that it needs and a small system lacks. Throws `Unavailable`. */
export function debianProgram(program: string, packages: readonly string[], folder: string): Unpacked {
  const here = PLACES.map((place) => join("/", place, program)).find((path) => existsSync(path));
  if (here !== undefined) return { program: here, root: "/", env: process.env };
  const root = join(folder, "root");
  mkdirSync(root, { recursive: true });
  // apt-get downloads as a user of its own.
  chmodSync(folder, 0o755);
  try {
    execFileSync("apt-get", ["-qq", "download", ...packages], { cwd: folder, stdio: "pipe", timeout: 120_000 });
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".deb"))) execFileSync("dpkg", ["-x", join(folder, name), root]);
  } catch (error) {
    const words = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new Unavailable(
      `Debian's package ${packages[0]} could not be had (${words.split("\n").at(-1)}): \`apt-get update\`, or \`apt-get install ${packages[0]}\``,
    );
  }
  const found = PLACES.map((place) => join(root, place, program)).find((path) => existsSync(path));
  if (found === undefined) throw new Unavailable(`Debian's package ${packages[0]} holds no program ${program}`);
  const libraries = join(root, "usr/lib");
  const folders = existsSync(libraries) ? readdirSync(libraries, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [];
  const path = folders.map(({ name }) => join(libraries, name)).join(":");
  return { program: found, root, env: { ...process.env, LD_LIBRARY_PATH: path } };
}
