/** The files that `apply` and `import` are given: paths, folders, `-` for standard input; read as UTF-8 text within the limits, or refused. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError, asError } from "fleetcron-shared/base/errors";
import { decodeText, MAX_FILE_BYTES } from "fleetcron-shared/base/yaml-source";
import type { Io } from "./io.ts";

export type NamedText = { readonly name: string; readonly text: string };

/** Each path's texts in order; of a folder all *.yaml, *.yml and *.json directly in it, by name. The same file twice is read once. */
export async function readInputs(io: Pick<Io, "cwd" | "stdin">, paths: readonly string[]): Promise<NamedText[]> {
  const names = new Set<string>();
  for (const path of paths) for (const name of await expand(io.cwd, path)) names.add(name);
  const files: NamedText[] = [];
  for (const name of names) files.push(await readInput(io, name));
  return files;
}

/** One file, or standard input for `-`. */
export async function readInput(io: Pick<Io, "cwd" | "stdin">, path: string): Promise<NamedText> {
  if (path === "-") return { name: "(standard input)", text: decodeText(await readStdin(io.stdin), "(standard input)") };
  const full = resolve(io.cwd, path);
  const info = await look(full, path);
  if (info.isDirectory()) throw new AppError("input/unreadable", `${path} is a folder, a file is needed`);
  // Devices and pipes have no size; they are cut off by decodeText after reading.
  if (info.size > MAX_FILE_BYTES) throw tooLarge(path, info.size);
  try {
    return { name: path, text: decodeText(await readFile(full), path) };
  } catch (thrown) {
    throw thrown instanceof AppError ? thrown : unreadable(path, thrown);
  }
}

async function expand(cwd: string, path: string): Promise<string[]> {
  if (path === "-") return [path];
  const full = resolve(cwd, path);
  if (!(await look(full, path)).isDirectory()) return [path];
  const found = (await readdir(full)).filter((name) => /\.(ya?ml|json)$/.test(name) && !name.startsWith(".")).sort();
  if (found.length === 0) throw new AppError("input/unreadable", `${path} holds no *.yaml, *.yml or *.json file`);
  return found.map((name) => join(path, name));
}

async function look(full: string, path: string) {
  try {
    return await stat(full);
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

async function readStdin(stdin: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    size += chunk.byteLength;
    if (size > MAX_FILE_BYTES) throw tooLarge("(standard input)", size);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(path: string, bytes: number): AppError {
  return new AppError(
    "input/too-large",
    `${path} has more than ${(Math.floor((bytes / 2 ** 20) * 10) / 10).toFixed(1)} MiB; at most ${MAX_FILE_BYTES / 2 ** 20} MiB are read`,
    {
      hint: "split it into several files",
    },
  );
}

function unreadable(path: string, thrown: unknown): AppError {
  const { code } = thrown as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "this user may not read it" : asError(thrown).message;
  return new AppError("input/unreadable", `${path} cannot be read: ${why}`, { cause: thrown });
}
