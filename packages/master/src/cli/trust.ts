/** Which authorities the command line trusts: those of Node.js, of the system, and of `--ca`. For the whole process, which calls one master. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext, getCACertificates, setDefaultCACertificates } from "node:tls";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { GlobalOptions } from "./context.ts";
import type { Io } from "./io.ts";

/** Throws `input/unreadable`. */
export function trust(io: Pick<Io, "env" | "cwd">, options: Pick<GlobalOptions, "ca">): void {
  const file = options.ca ?? (io.env.FLEETCRON_CA || undefined);
  const own = file === undefined ? [] : [readCa(resolve(io.cwd, file))];
  setDefaultCACertificates([...getCACertificates("default"), ...getCACertificates("system"), ...own]);
}

function readCa(file: string): string {
  try {
    const text = readFileSync(file, "utf8");
    createSecureContext({ ca: text });
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch (cause) {
    throw new AppError("input/unreadable", `--ca: ${file} is no certificate that can be read: ${asError(cause).message}`, { cause });
  }
  throw new AppError("input/unreadable", `--ca: ${file} holds no certificate`, {
    hint: "it must be PEM text: -----BEGIN CERTIFICATE-----",
  });
}
