/**
 * Which file a program's name stands for, and whether a list of path patterns holds it. Compared is the real folder (symbolic links and `..`
 * followed) with the file's own name: a link inside a folder is trusted as much as the folder. What cannot be told is never taken as allowed.
 */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";

/** `path` holds absolute folders as $PATH does, `cwd` is where a relative name begins. Returns the file with its real folder, or why that cannot be told. */
export function resolveProgram(name: string, where: { path: string; cwd: string | undefined }): { file: string } | { problem: string } {
  if (name.includes("/")) {
    if (!isAbsolute(name) && where.cwd === undefined) return { problem: `"${name}" is relative, and the job has no cwd` };
    return inRealFolder(isAbsolute(name) ? name : `${where.cwd}/${name}`, name);
  }
  const folder = where.path.split(":").find((one) => isExecutable(`${one}/${name}`));
  return folder === undefined ? { problem: `"${name}" is not found in ${where.path}` } : inRealFolder(`${folder}/${name}`, name);
}

/** `/a/b` is that file, `/a/` everything below that folder, `*` any text within one name. */
export function matchesPath(patterns: readonly string[], file: string): boolean {
  return patterns.some((pattern) => {
    const { folder, rest } = split(pattern);
    const real = realFolder(folder) ?? folder;
    const prefix = real.endsWith("/") ? real : `${real}/`;
    if (!file.startsWith(prefix)) return false;
    return rest === "" || matchesText(rest, file.slice(prefix.length));
  });
}

/** Whether a pattern in which `*` stands for any text without a slash matches the whole text; one that ends with a slash, everything below. */
export function matchesText(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^/]*")}${pattern.endsWith("/") ? "." : "$"}`, "s").test(text);
}

/** The folders before the first `*`, and what is left: empty when the pattern means everything below its folder. */
function split(pattern: string): { folder: string; rest: string } {
  const star = pattern.indexOf("*");
  const fixed = star < 0 ? pattern : pattern.slice(0, star);
  const at = fixed.lastIndexOf("/");
  return { folder: pattern.slice(0, at) || "/", rest: pattern.slice(at + 1) };
}

/** Paths are put together as text: `join` would take `..` away before links are followed. */
function inRealFolder(path: string, name: string): { file: string } | { problem: string } {
  const file = basename(path);
  const folder = file === "" || file === "." || file === ".." || path.endsWith("/") ? undefined : realFolder(dirname(path));
  return folder === undefined ? { problem: `there is no program "${name}" on this host` } : { file: join(folder, file) };
}

function realFolder(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
