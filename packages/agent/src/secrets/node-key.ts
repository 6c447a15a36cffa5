/**
 * This node's key pair for secrets: made at the first start, its private half in the data folder for the agent's user alone, and nowhere else.
 * Who loses the data folder gets a new pair, and the secrets have to be set again.
 */
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AppError, asError } from "fleetcron-shared/base/errors";
import { createKeyPair, type KeyPair, publicKeyOf } from "fleetcron-shared/model/secret-box";

const NAME = "secrets.key";

/** Throws `config/data-dir` when the key cannot be read or made, or others may read it. */
export function openNodeKey(dataDir: string): KeyPair {
  const path = join(dataDir, NAME);
  try {
    return readKey(path) ?? makeKey(path);
  } catch (cause) {
    throw new AppError("config/data-dir", `the node's key ${path} cannot be used: ${asError(cause).message}`, {
      cause,
      hint: "mend it, or remove it: then a new one is made, and the secrets of this node have to be set again",
    });
  }
}

function readKey(path: string): KeyPair | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if ((stats.mode & 0o077) !== 0) throw new Error(`others than its owner may read or write it (chmod 600 ${path})`);
  const privateKey = readFileSync(path, "utf8");
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** Written whole or not at all: a key that is used is on disk. */
function makeKey(path: string): KeyPair {
  const pair = createKeyPair();
  const fd = openSync(`${path}.tmp`, "w", 0o600);
  try {
    chmodSync(`${path}.tmp`, 0o600);
    writeSync(fd, pair.privateKey);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.tmp`, path);
  return pair;
}
