/** The folder in which a daemon keeps what must survive it: made if it is not there, and usable, or a clear error. */
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { AppError, asError } from "./errors.ts";

/** `program` is for the message. Throws `config/data-dir`. */
export function makeDataDir(dataDir: string, options: { mode: number; program: string }): void {
  try {
    makeFolders(resolve(dataDir), options.mode);
    if (!statSync(dataDir).isDirectory()) throw new Error("it is not a folder");
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new AppError("config/data-dir", `the data folder ${dataDir} cannot be used: ${asError(cause).message}`, {
      cause,
      hint: `create it for the ${options.program}'s user, or choose another with --data-dir`,
    });
  }
}

/** One folder after the other: Node's own `recursive` never returns where a file system takes no folders (/proc). */
function makeFolders(folder: string, mode: number): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolders(dirname(folder), mode);
  mkdirSync(folder, { mode });
}
