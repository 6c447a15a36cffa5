/**
 * What a cluster needs before anybody can use it: its identity (`meta`) and a first token. Made once, by whichever master comes first. The token
 * is in the data folder before etcd knows its hash, so it cannot be lost in between. Etcd away: the master does not start.
 */
import { createHash } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, toIso } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Random } from "fleetcron-shared/base/random";
import type { ClusterMeta, TokenInfo } from "fleetcron-shared/model/facts";
import { absent, type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

/** The files in the data folder. */
export const ADMIN_TOKEN_FILE = "admin-token";
const CLUSTER_FILE = "cluster";

type Deps = { readonly kv: Kv; readonly keys: Keys; readonly clock: Clock; readonly random: Random; readonly newId: IdSource };

/** The cluster's identity, made if there is none. Throws `cluster/mismatch` when this data folder belongs to another cluster. */
export async function ensureCluster(deps: Deps, dataDir: string, timezone: string): Promise<ClusterMeta> {
  const { kv, keys } = deps;
  const fresh: ClusterMeta = { v: 1, cluster: deps.newId(), createdAt: toIso(deps.clock.now()), timezone };
  if ((await kv.get(keys.meta)) === undefined)
    await kv.txn({ if: [absent(keys.meta)], then: [{ op: "put", key: keys.meta, value: encode(fresh) }] });
  const stored = await kv.get(keys.meta);
  if (stored === undefined) throw new AppError("write/conflict", `${keys.meta} was deleted this moment`);
  const meta = decode<ClusterMeta>(stored.key, stored.value);
  const file = join(dataDir, CLUSTER_FILE);
  const known = readText(file);
  if (known !== undefined && known !== meta.cluster) {
    throw new AppError(
      "cluster/mismatch",
      `the data folder ${dataDir} belongs to cluster ${known}, but ${keys.prefix} in this etcd is cluster ${meta.cluster}`,
      {
        hint: "check --etcd and --prefix, or use another --data-dir",
      },
    );
  }
  if (known === undefined) writeWhole(file, `${meta.cluster}\n`);
  return meta;
}

/** The admin token, when there was no token at all and this start has made the first one; else undefined. */
export async function ensureAdminToken(deps: Deps, dataDir: string): Promise<string | undefined> {
  const { kv, keys } = deps;
  const { kvs } = await kv.range({ ...prefixRange(keys.tokens), limit: 1, keysOnly: true });
  if (kvs.length > 0) return undefined;
  const token = `fct_${Buffer.from(deps.random.bytes(32)).toString("base64url")}`;
  const info: TokenInfo = {
    v: 1,
    id: "admin",
    sha256: tokenHash(token),
    role: "admin",
    name: "made at the first start",
    createdAt: toIso(deps.clock.now()),
  };
  const file = join(dataDir, ADMIN_TOKEN_FILE);
  const pending = `${file}.${deps.newId()}`;
  writeFileSync(pending, `${token}\n`, { mode: 0o600, flag: "wx", flush: true });
  try {
    const key = keys.token(info.id);
    const value = encode(info);
    const { succeeded } = await kv.txn({ if: [absent(key)], then: [{ op: "put", key, value }] }).catch(async (error: unknown) => {
      if ((await kv.get(key))?.value !== value) throw error;
      return { succeeded: true };
    });
    if (!succeeded) return undefined;
    renameSync(pending, file);
    return token;
  } finally {
    rmSync(pending, { force: true });
  }
}

/** What `tokens/<id>` keeps of a token. */
export function tokenHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Written whole or not at all. */
export function writeWhole(path: string, text: string, mode = 0o644): void {
  writeFileSync(`${path}.tmp`, text, { mode, flush: true });
  renameSync(`${path}.tmp`, path);
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((asError(error) as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new AppError("config/data-dir", `${file} cannot be read: ${asError(error).message}`, { cause: error });
  }
}
