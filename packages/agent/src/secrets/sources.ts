/** Where values come from on this host: a file, or a variable of the agent. What is wrong is said without a word of the value. */
import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { asError } from "fleetcron-shared/base/errors";
import { MAX_SECRET_BYTES } from "fleetcron-shared/model/secret";

export type Found = { readonly value: string } | { readonly problem: string };

/** A file's text without one line end at its end. */
export function readSecretFile(path: string): Found {
  let bytes: Buffer;
  try {
    // A pipe without a writer would keep the agent waiting.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) return { problem: `${path} is not a file` };
      if (stats.size > MAX_SECRET_BYTES + 2) return { problem: `${path} has more than ${MAX_SECRET_BYTES} bytes` };
      bytes = readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (thrown) {
    const { code, message } = asError(thrown) as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "the agent may not read it" : message;
    return { problem: `${path} cannot be read on this host: ${why}` };
  }
  return isUtf8(bytes) ? usable(bytes.toString().replace(/\r?\n$/, ""), path) : { problem: `${path} is not text in UTF-8` };
}

/** A variable of the agent's own environment, but for its settings. */
export function readAgentVariable(env: Readonly<Record<string, string | undefined>>, name: string): Found {
  if (name.startsWith("FLEETCRON_")) return { problem: "the agent's own settings are not given to jobs" };
  const value = env[name];
  if (value === undefined)
    return { problem: `the agent on this host has no variable ${name}; set it where the agent is started, and restart it` };
  return usable(value, `the agent's variable ${name}`);
}

/** What a process can be given. */
export function usable(value: string, what: string): Found {
  if (value === "") return { problem: `${what} is empty` };
  if (value.includes("\0")) return { problem: `${what} contains a NUL character, which no process can be given` };
  return { value };
}
