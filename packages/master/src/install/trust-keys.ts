/** What known_hosts says of each key that a host shows. */
import type { HostConfig } from "fleetcron-shared/ssh/host-config";
import type { HostKey } from "fleetcron-shared/ssh/host-key";
import { type KnownLine, linesFor } from "fleetcron-shared/ssh/known-hosts";
import { readKnownHosts } from "fleetcron-shared/ssh/known-hosts-file";

export type TrustCase = {
  readonly key: HostKey;
  /** `changed`: another key is known in its place. */
  readonly state: "known" | "new" | "changed" | "revoked";
  /** The line that knows it, or that knows another in its place. */
  readonly known: KnownLine | undefined;
};

/** Throws SshError `ssh/config` for a file that cannot be read. */
export function judgeKeys(files: readonly string[], config: Pick<HostConfig, "keyName" | "port">, keys: readonly HostKey[]): TrustCase[] {
  const lines = linesFor(readKnownHosts(files), config.keyName, config.port);
  const plain = lines.filter(({ marker }) => marker === undefined);
  // One key that is known says who it is; keys of further types are new then, and not a change.
  const isKnownHost = keys.some((key) => plain.some(({ base64 }) => base64 === key.base64));
  return keys.map((key) => {
    const revoked = lines.find(({ marker, base64 }) => marker === "revoked" && base64 === key.base64);
    if (revoked !== undefined) return { key, state: "revoked", known: revoked };
    const same = plain.find(({ base64 }) => base64 === key.base64);
    if (same !== undefined) return { key, state: "known", known: same };
    const other = plain.find(({ type }) => type === key.type) ?? (isKnownHost ? undefined : plain[0]);
    return other === undefined ? { key, state: "new", known: undefined } : { key, state: "changed", known: other };
  });
}
