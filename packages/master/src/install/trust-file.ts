/** Takes a host's old keys out of a known_hosts file: the one thing that removes anything there, asked for by `--replace`. */
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { AppError } from "fleetcron-shared/base/errors";
import type { HostConfig } from "fleetcron-shared/ssh/host-config";
import { linesFor, nameOf } from "fleetcron-shared/ssh/known-hosts";
import type { TrustCase } from "./trust-keys.ts";

/**
 * The host's plain entries for the key types that changed go, written whole or not at all; other names on the same line stay. Throws `ssh/key-changed` when an entry
 * is in another file, or is a pattern for several hosts.
 */
export function forgetLines(file: string, changed: readonly TrustCase[], config: Pick<HostConfig, "keyName" | "port">): void {
  if (changed.length === 0) return;
  const elsewhere = changed.find(({ known }) => known?.file !== file)?.known;
  if (elsewhere !== undefined) throw byHand(`${elsewhere.file}:${elsewhere.line}`, `it is not the file that this writes (${file})`);
  const name = nameOf(config.keyName, config.port);
  const text = readFileSync(file, "utf8");
  const types = new Set(changed.flatMap(({ key, known }) => [key.type, known?.type]));
  const old = linesFor([{ path: file, text }], config.keyName, config.port).filter(
    ({ marker, type }) => marker === undefined && types.has(type),
  );
  const rows: (string | undefined)[] = text.split("\n");
  for (const { line, patterns } of old) {
    const names = patterns.split(",");
    const isHashed = patterns.startsWith("|1|");
    if (!isHashed && !names.some((each) => each.toLowerCase() === name))
      throw byHand(`${file}:${line}`, `its pattern ${patterns} is for several hosts`);
    const rest = isHashed ? [] : names.filter((each) => each.toLowerCase() !== name);
    rows[line - 1] = rest.length === 0 ? undefined : rows[line - 1]?.replace(patterns, rest.join(","));
  }
  const temporary = `${file}.new.${process.pid}`;
  writeFileSync(temporary, rows.filter((row) => row !== undefined).join("\n"), { mode: statSync(file).mode & 0o777 });
  renameSync(temporary, file);
}

function byHand(where: string, why: string): AppError {
  return new AppError("ssh/key-changed", `the old key at ${where} cannot be replaced: ${why}`, {
    hint: "edit that line by hand, and run this again",
  });
}
