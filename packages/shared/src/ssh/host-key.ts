/** Public host keys: their type, and the fingerprint that people compare. */
import { createHash } from "node:crypto";
import type { ServerHostKeyAlgorithm } from "ssh2";

/** Such as `ssh-ed25519`. */
export type KeyType = "ssh-ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" | "ssh-rsa";

/** The order in which they are asked for. */
export const KEY_TYPES: readonly KeyType[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
];

export type HostKey = {
  readonly type: string;
  /** As in known_hosts. */
  readonly base64: string;
  /** `SHA256:…`, as ssh-keygen shows it. */
  readonly fingerprint: string;
};

/** From the wire form, which begins with the type's length and name. */
export function hostKeyOf(blob: Buffer): HostKey {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  const type = blob.subarray(4, 4 + Math.min(length, 64)).toString("latin1");
  const digest = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
  return { type, base64: blob.toString("base64"), fingerprint: `SHA256:${digest}` };
}

/** Signature algorithms for key types, in this order. */
export function algorithmsFor(types: readonly string[]): ServerHostKeyAlgorithm[] {
  return types.flatMap((type): ServerHostKeyAlgorithm[] => {
    if (type === "ssh-rsa") return ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"];
    const known = KEY_TYPES.find((each) => each === type);
    return known === undefined ? [] : [known];
  });
}
