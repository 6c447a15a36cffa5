/**
 * Secrets as the master knows them: that they exist, whom they are for, and boxes that it cannot open. The description is written first and names
 * the version; each box is written only while that holds, so that of two who set a secret at once one wins as a whole.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { suggest } from "fleetcron-shared/base/suggest";
import { compileTarget } from "fleetcron-shared/model/job-compile";
import type { SecretBox, SecretInfo, SecretRef } from "fleetcron-shared/model/secret";
import { matchesTarget } from "fleetcron-shared/model/target";
import { absent, MAX_TXN_BYTES, MAX_TXN_OPS, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { SecretBody, SecretView } from "../http/secret-schema.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { scanPrefix } from "./scan.ts";
import { settle } from "./settle.ts";

type Boxes = ReadonlyMap<string, SecretBox>;

/** Every secret with the nodes that should have it or do. */
export async function listSecrets(deps: OpsDeps): Promise<SecretView[]> {
  const boxes = await readBoxes(deps);
  const views: SecretView[] = [];
  for await (const kv of scanPrefix(deps.kv, deps.keys.secrets)) {
    const info = decode<SecretInfo>(kv.key, kv.value);
    views.push(viewOf(deps, info, boxes.get(toName(info)) ?? new Map()));
  }
  return views;
}

/** Throws `node/not-found`, `write/conflict`. */
export async function putSecret(deps: OpsDeps, ref: SecretRef, body: SecretBody, by: string): Promise<SecretView> {
  const { keys, kv, clock } = deps;
  const stranger = body.boxes.find(({ node }) => deps.views.nodes.get(keys.node(node)) === undefined);
  if (stranger !== undefined) throw new AppError("node/not-found", `there is no node ${stranger.node}`);
  const key = keys.secret(ref.group, ref.name);
  const found = await kv.get(key);
  const now = toIso(clock.now());
  const createdAt = found === undefined ? now : decode<SecretInfo>(key, found.value).createdAt;
  const target = compact(body.target);
  const info: SecretInfo = { v: 1, ...ref, version: body.version, target, createdAt, updatedAt: now, by };
  const { succeeded, revision } = await settle(kv, {
    if: [found === undefined ? absent(key) : unchanged(key, found.modRevision)],
    then: [{ op: "put", key, value: encode(info) }],
  });
  if (!succeeded) throw conflict(ref);
  const boxes = new Map(body.boxes.map(({ node, ...box }) => [node, { v: 1, version: body.version, ...box } satisfies SecretBox] as const));
  const puts = [...boxes].map(([node, box]): Op => ({ op: "put", key: keys.box(node, ref.group, ref.name), value: encode(box) }));
  const gone = (await boxKeysOf(deps, ref)).filter(({ node }) => !boxes.has(node)).map(({ key }): Op => ({ op: "delete", key }));
  await writeWhile(deps, ref, revision, [...puts, ...gone]);
  return viewOf(deps, info, boxes);
}

/** Throws `secret/not-found`, `write/conflict`. The description goes last: as long as it is there, the removal can be repeated. */
export async function deleteSecret(deps: OpsDeps, ref: SecretRef): Promise<string> {
  const key = deps.keys.secret(ref.group, ref.name);
  const found = await deps.kv.get(key);
  if (found === undefined) {
    const names: string[] = [];
    for await (const kv of scanPrefix(deps.kv, deps.keys.secrets, { keysOnly: true }))
      names.push(deps.keys.parts(kv.key).slice(1).join("/"));
    const near = suggest(toName(ref), names);
    throw new AppError(
      "secret/not-found",
      `there is no secret ${toName(ref)}`,
      near === undefined ? {} : { hint: `did you mean ${near}?` },
    );
  }
  const gone = (await boxKeysOf(deps, ref)).map(({ key }): Op => ({ op: "delete", key }));
  await writeWhile(deps, ref, found.modRevision, gone);
  await writeWhile(deps, ref, found.modRevision, [{ op: "delete", key }]);
  return toName(ref);
}

/** Runs the writes in few transactions, each only while the secret's description is as written at `revision`. */
async function writeWhile(deps: OpsDeps, ref: SecretRef, revision: Revision, ops: readonly Op[]): Promise<void> {
  const condition = unchanged(deps.keys.secret(ref.group, ref.name), revision);
  let batch: Op[] = [];
  let bytes = 0;
  const write = async () => {
    if (batch.length > 0 && !(await settle(deps.kv, { if: [condition], then: batch })).succeeded) throw conflict(ref);
    batch = [];
    bytes = 0;
  };
  for (const op of ops) {
    const size = op.key.length + (op.op === "put" ? op.value.length : 0);
    if (batch.length >= MAX_TXN_OPS || bytes + size > MAX_TXN_BYTES) await write();
    batch.push(op);
    bytes += size;
  }
  await write();
}

function conflict(ref: SecretRef): AppError {
  return new AppError("write/conflict", `the secret ${toName(ref)} was changed by somebody else meanwhile`, { hint: "set it again" });
}

function viewOf(deps: OpsDeps, info: SecretInfo, boxes: Boxes): SecretView {
  const { v: _, ...rest } = info;
  const target = compileTarget(info.target);
  const nodes = [...deps.views.nodes.entries()].flatMap(([, { info: node, labels }]): SecretView["nodes"] => {
    const box = boxes.get(node.id);
    if (!matchesTarget(target, { id: node.id, labels })) return box === undefined ? [] : [{ node: node.id, state: "notMeant" }];
    if (node.publicKey === undefined) return [{ node: node.id, state: "noKey" }];
    if (box === undefined) return [{ node: node.id, state: "missing" }];
    if (box.publicKey !== node.publicKey) return [{ node: node.id, state: "otherKey" }];
    return [{ node: node.id, state: box.version === info.version ? "current" : "outdated" }];
  });
  return { ...rest, nodes: nodes.sort((a, b) => (a.node < b.node ? -1 : 1)) };
}

/** Per secret, per node. */
async function readBoxes(deps: OpsDeps): Promise<ReadonlyMap<string, Boxes>> {
  const boxes = new Map<string, Map<string, SecretBox>>();
  for await (const kv of scanPrefix(deps.kv, deps.keys.boxes)) {
    const [, node = "", group = "", name = ""] = deps.keys.parts(kv.key);
    const known = boxes.get(`${group}/${name}`) ?? new Map<string, SecretBox>();
    boxes.set(`${group}/${name}`, known.set(node, decode<SecretBox>(kv.key, kv.value)));
  }
  return boxes;
}

async function boxKeysOf(deps: OpsDeps, ref: SecretRef): Promise<{ key: string; node: string }[]> {
  const found: { key: string; node: string }[] = [];
  for await (const { key } of scanPrefix(deps.kv, deps.keys.boxes, { keysOnly: true })) {
    const [, node = "", group, name] = deps.keys.parts(key);
    if (group === ref.group && name === ref.name) found.push({ key, node });
  }
  return found;
}

function compact({ nodes, labels }: SecretBody["target"]): SecretInfo["target"] {
  return { ...(nodes === undefined ? {} : { nodes }), ...(labels === undefined ? {} : { labels }) };
}

function toName({ group, name }: SecretRef): string {
  return `${group}/${name}`;
}
