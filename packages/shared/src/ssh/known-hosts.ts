/**
 * The meaning of known_hosts (sshd(8)): patterns, negation, hashed names, ports, @revoked, @cert-authority. Pure: files come as text.
 * Stricter than OpenSSH in one point: a host that is known by keys of other types only is `changed`, so that nobody gets in by offering a type that is not listed.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { type HostKey, hostKeyOf, KEY_TYPES } from "./host-key.ts";

export type KnownHostsFile = { readonly path: string; readonly text: string };

/** A line that speaks of some host. */
export type KnownLine = HostKey & {
  readonly marker: "revoked" | "cert-authority" | undefined;
  readonly patterns: string;
  readonly file: string;
  /** 1-based. */
  readonly line: number;
};

export type Verdict =
  | { readonly type: "known" }
  | { readonly type: "unknown" }
  /** `known` is what the file has: of the same key type, or of another when the host was never seen with this type. */
  | { readonly type: "changed"; readonly known: HostKey; readonly file: string; readonly line: number }
  | { readonly type: "revoked"; readonly file: string; readonly line: number }
  /** Only an authority is known, whose certificates nobody here can check. */
  | { readonly type: "certAuthority"; readonly file: string; readonly line: number };

/** The lines about a host, in their order. What is no line of known_hosts is passed over, as OpenSSH does. */
export function linesFor(files: readonly KnownHostsFile[], host: string, port: number): KnownLine[] {
  const name = nameOf(host, port);
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((row, index) => {
      const line = parseLine(row, path, index + 1);
      return line !== undefined && matches(line.patterns, name) ? [line] : [];
    }),
  );
}

/** `host`, or `[host]:port` where the port is not 22. */
export function nameOf(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** What the lines about a host say of a key that it showed. */
export function judge(lines: readonly KnownLine[], key: HostKey): Verdict {
  const revoked = lines.find((line) => line.marker === "revoked" && line.base64 === key.base64);
  if (revoked !== undefined) return { type: "revoked", file: revoked.file, line: revoked.line };
  const plain = lines.filter((line) => line.marker === undefined);
  if (plain.some((line) => line.base64 === key.base64)) return { type: "known" };
  const other = plain.find((line) => line.type === key.type) ?? plain[0];
  if (other !== undefined) return { type: "changed", known: other, file: other.file, line: other.line };
  const authority = lines.find((line) => line.marker === "cert-authority");
  return authority === undefined ? { type: "unknown" } : { type: "certAuthority", file: authority.file, line: authority.line };
}

/** Key types in the order to ask the server for: the known ones first, so that it shows the key that can be compared. */
export function preferredTypes(lines: readonly KnownLine[]): string[] {
  const known = new Set(lines.filter((line) => line.marker === undefined).map((line) => line.type));
  return [...KEY_TYPES.filter((type) => known.has(type)), ...KEY_TYPES.filter((type) => !known.has(type))];
}

/** The line that pins a key. */
export function knownHostsLine(host: string, port: number, key: HostKey): string {
  return `${nameOf(host, port)} ${key.type} ${key.base64}\n`;
}

function parseLine(row: string, file: string, line: number): KnownLine | undefined {
  const text = row.trim();
  if (text === "" || text.startsWith("#")) return undefined;
  const words = text.split(/\s+/);
  const marker = words[0]?.startsWith("@") === true ? words.shift()?.slice(1) : undefined;
  if (marker !== undefined && marker !== "revoked" && marker !== "cert-authority") return undefined;
  const [patterns, type, base64] = words;
  if (patterns === undefined || type === undefined || base64 === undefined) return undefined;
  const key = hostKeyOf(Buffer.from(base64, "base64"));
  return key.type === type ? { ...key, marker, patterns, file, line } : undefined;
}

function matches(patterns: string, name: string): boolean {
  if (patterns.startsWith("|1|")) return matchesHash(patterns, name);
  let isMatch = false;
  for (const pattern of patterns.toLowerCase().split(",")) {
    const isNegated = pattern.startsWith("!");
    if (!glob(isNegated ? pattern.slice(1) : pattern, name)) continue;
    if (isNegated) return false;
    isMatch = true;
  }
  return isMatch;
}

function matchesHash(pattern: string, name: string): boolean {
  const [, , salt, hash] = pattern.split("|");
  if (salt === undefined || hash === undefined) return false;
  const wanted = Buffer.from(hash, "base64");
  const got = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return wanted.length === got.length && timingSafeEqual(wanted, got);
}

function glob(pattern: string, text: string): boolean {
  const escaped = pattern
    .replace(/[\\^$.|+()[\]{}]/g, "\\$&")
    .replaceAll(/\*+/g, ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`).test(text);
}
