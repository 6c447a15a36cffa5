/**
 * Hides secrets in output. A secret is overwritten with stars of the same length, so offsets stay what they are. Pure.
 */

export type Masker = {
  /** Bytes of the longest secret. */
  readonly longest: number;
  /** The bytes with every secret overwritten; the argument stays as it is. */
  mask(bytes: Buffer): Buffer;
  /** How many bytes at the end may be the beginning of a secret whose rest is not written yet. */
  open(bytes: Buffer): number;
};

/** Undefined when there is nothing to hide. Empty secrets hide nothing. */
export function createMasker(values: readonly (string | Uint8Array)[]): Masker | undefined {
  const secrets = values.map((value) => Buffer.from(value as string)).filter((secret) => secret.length > 0);
  if (secrets.length === 0) return undefined;
  const longest = Math.max(...secrets.map((secret) => secret.length));
  return {
    longest,
    mask(bytes) {
      const masked = Buffer.from(bytes);
      for (const secret of secrets) {
        // Found in the original: secrets may overlap.
        for (let at = bytes.indexOf(secret); at >= 0; at = bytes.indexOf(secret, at + 1)) masked.fill("*", at, at + secret.length);
      }
      return masked;
    },
    open(bytes) {
      let most = 0;
      for (const secret of secrets) {
        for (let count = Math.min(secret.length - 1, bytes.length); count > most; count--) {
          if (bytes.subarray(bytes.length - count).equals(secret.subarray(0, count))) most = count;
        }
      }
      return most;
    },
  };
}
