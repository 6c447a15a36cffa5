/**
 * Secrets as jobs name them and as etcd holds them: the value only ever as boxes (secret-box.ts), one for each node that may know it.
 * `secrets/<group>/<name>` says that a secret exists and for whom; it never holds its value.
 */
import type { TargetSpec } from "./job-spec.ts";

/** Jobs of every group may use the secrets of this group; those of another group are for its own jobs. */
export const SHARED_GROUP = "shared";
/** Longest value: with what its encryption adds it stays well under the 64 KiB of a value in etcd. */
export const MAX_SECRET_BYTES = 32 * 1024;
/** Shorter values (and lines of values) are not masked: they would be found everywhere. */
export const MIN_MASKED_LENGTH = 4;

export type SecretRef = { readonly group: string; readonly name: string };

/** `boxes/<node>/<group>/<name>`: a secret's value, encrypted for one node. Binary fields are base64url. */
export type SecretBox = {
  readonly v: 1;
  /** Of the value: the same in all nodes' boxes. */
  readonly version: string;
  /** The key that it is for (`NodeInfo.publicKey`). */
  readonly publicKey: string;
  /** Public half of a key pair that was made for this box alone. */
  readonly ephemeral: string;
  readonly sealed: string;
};

/** `secrets/<group>/<name>`: which version is the current one, and which nodes should have it. */
export type SecretInfo = {
  readonly v: 1;
  readonly group: string;
  readonly name: string;
  readonly version: string;
  readonly target: TargetSpec;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly by: string;
};

/** `group/name`; without a group it is `ownGroup`. */
export function secretRef(text: string, ownGroup: string): SecretRef {
  const slash = text.indexOf("/");
  return slash < 0 ? { group: ownGroup, name: text } : { group: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** Whether a job of `jobGroup` may use the secret. */
export function mayUseSecret(ref: SecretRef, jobGroup: string): boolean {
  return ref.group === jobGroup || ref.group === SHARED_GROUP;
}
