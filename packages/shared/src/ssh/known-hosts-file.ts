/** known_hosts files on disk. They are only ever appended to: what stands in them is not replaced, whoever asks. */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { asError } from "../base/errors.ts";
import { failed } from "./failure.ts";
import type { HostKey } from "./host-key.ts";
import { judge, type KnownHostsFile, knownHostsLine, linesFor, type Verdict } from "./known-hosts.ts";

/** Files that do not exist are left out. Throws SshError `ssh/config` for one that cannot be read. */
export function readKnownHosts(paths: readonly string[]): KnownHostsFile[] {
  return [...new Set(paths)].flatMap((path) => {
    try {
      return [{ path, text: readFileSync(path, "utf8") }];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw failed("ssh/config", `the file of known hosts ${path} cannot be read: ${asError(error).message}`, error);
    }
  });
}

/**
 * Pins a key by a line at the end of the file (mode 0600, made when missing). Several processes may do so at once: lines are appended whole, and whichever stands
 * first counts, so the answer is `changed` for the one that came second with another key. Throws SshError `ssh/config`.
 */
export function pinHostKey(path: string, host: string, port: number, key: HostKey): Verdict {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(path, "a+", 0o600);
    try {
      // The last line may lack its end when somebody wrote the file by hand.
      writeSync(fd, `${endsInLine(fd) ? "" : "\n"}${knownHostsLine(host, port, key)}`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw failed("ssh/config", `the key of ${host} cannot be kept in ${path}: ${asError(error).message}`, error);
  }
  const lines = linesFor(readKnownHosts([path]), host, port);
  const first = lines.find((line) => line.marker === undefined && line.type === key.type);
  return judge(first === undefined ? lines : [...lines.filter((line) => line.marker !== undefined), first], key);
}

function endsInLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(1);
  return size === 0 || readSync(fd, last, 0, 1, size - 1) === 0 || last[0] === 10;
}
