/**
 * `fleetcron secret …`. The value is encrypted here, for each node by itself; it is never an argument, and neither the master nor etcd ever see
 * it. What is printed about a secret never holds a part of it.
 */
import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError, asError } from "fleetcron-shared/base/errors";
import { createIdSource } from "fleetcron-shared/base/ids";
import { compileTarget } from "fleetcron-shared/model/job-compile";
import type { TargetSpec } from "fleetcron-shared/model/job-spec";
import { MAX_SECRET_BYTES, MIN_MASKED_LENGTH, type SecretRef } from "fleetcron-shared/model/secret";
import { sealBox } from "fleetcron-shared/model/secret-box";
import { matchesTarget } from "fleetcron-shared/model/target";
import { type ApiClient, collectPages } from "../client/api.ts";
import type { NodeView } from "../http/node-schema.ts";
import type { SecretBody, SecretView } from "../http/secret-schema.ts";
import { parseId, parsePairs } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanTime } from "./human.ts";
import { type ListOptions, showListing } from "./list.ts";
import { type Column, printOne } from "./output.ts";

export type SetSecretOptions = {
  readonly file?: string;
  readonly node?: readonly string[];
  readonly label?: readonly string[];
  readonly all?: boolean;
};

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const ALL_PAGES = Number.POSITIVE_INFINITY;

export async function listSecrets(context: Context, options: ListOptions): Promise<void> {
  const api = await context.api();
  await showListing(context, options, {
    fetchPage: (page) => api.secrets(page),
    groupOf: (secret) => secret.group,
    name: nameOf,
    columns: secretColumns(context),
    empty: "there are no secrets; `fleetcron secret set GROUP/NAME --all` makes one",
  });
}

export async function setSecret(context: Context, text: string, options: SetSecretOptions): Promise<void> {
  const ref = parseSecretRef(text);
  const api = await context.api();
  const target = parseTarget(options) ?? (await formerTarget(api, ref));
  const nodes = (await collectPages((limit, cursor) => api.nodes(cursor === undefined ? { limit } : { limit, cursor }), ALL_PAGES)).items;
  const meant = nodes.filter((node) => matchesTarget(compileTarget(target), node));
  const stranger = target.nodes?.find((id) => !nodes.some((node) => node.id === id));
  if (stranger !== undefined) throw new AppError("node/not-found", `there is no node ${stranger}`, { hint: "see `fleetcron node ls`" });
  if (!meant.some((node) => node.publicKey !== undefined))
    throw new AppError("secret/no-node", `none of the ${meant.length} nodes that match has a public key`, {
      hint: "start their agents (of this version or later), and set the secret again",
    });
  const value = await readValue(context, ref, options.file);
  if (value.length < MIN_MASKED_LENGTH)
    context.io.err(`note: a value of less than ${MIN_MASKED_LENGTH} characters is not masked in output and records\n`);
  const view = await api.putSecret(ref, sealForAll(context, ref, target, meant, value));
  await printOne(context, view, { name: nameOf, text: setText });
}

export async function removeSecrets(context: Context, names: readonly string[]): Promise<void> {
  const api = await context.api();
  for (const name of names) {
    const gone = await api.deleteSecret(parseSecretRef(name));
    await printOne(context, gone, { name: () => gone.deleted, text: () => `${gone.deleted} removed from all nodes\n` });
  }
}

function sealForAll(context: Context, ref: SecretRef, target: TargetSpec, nodes: readonly NodeView[], value: string): SecretBody {
  const version = createIdSource(context)();
  const secret = nameOf(ref);
  const boxes = nodes.flatMap(({ id, publicKey }) => {
    if (publicKey === undefined) return [];
    const { ephemeral, sealed } = sealBox(value, publicKey, { secret, node: id, version });
    return [{ node: id, publicKey, ephemeral, sealed }];
  });
  return { version, target: target as SecretBody["target"], boxes };
}

function parseSecretRef(text: string): SecretRef {
  const [group = "", name = "", ...more] = text.split("/");
  if (NAME.test(group) && NAME.test(name) && more.length === 0) return { group, name };
  throw new AppError("input/usage", `"${text}" is not the name of a secret`, {
    hint: "write it as GROUP/NAME; each is 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
  });
}

function parseTarget({ node, label, all }: SetSecretOptions): TargetSpec | undefined {
  if (all === true && (node !== undefined || label !== undefined))
    throw new AppError("input/usage", "--all leaves nothing for --node and -l");
  if (all === true) return {};
  if (node === undefined && label === undefined) return undefined;
  return {
    ...(node === undefined ? {} : { nodes: node.map((id) => parseId(id, "a node")) }),
    ...(label === undefined ? {} : { labels: parsePairs(label, "-l") }),
  };
}

async function formerTarget(api: ApiClient, ref: SecretRef): Promise<TargetSpec> {
  const { items } = await collectPages((limit, cursor) => api.secrets(cursor === undefined ? { limit } : { limit, cursor }), ALL_PAGES);
  const before = items.find((secret) => nameOf(secret) === nameOf(ref));
  if (before !== undefined) return before.target;
  throw new AppError("input/usage", `${nameOf(ref)} is new: say which nodes it is for`, { hint: "--node ID, -l NAME=VALUE or --all" });
}

/** From the file, from a person without echo, or from standard input; one line end at its end is left out. */
async function readValue({ io }: Context, ref: SecretRef, file: string | undefined): Promise<string> {
  const refuse = (why: string) => new AppError("input/invalid", `the value of ${nameOf(ref)} ${why}`);
  if (file === undefined && io.hiddenLine !== undefined) {
    const value = await io.hiddenLine(`value of ${nameOf(ref)}: `);
    if (value === "") throw refuse("is empty");
    if (value !== (await io.hiddenLine("again: "))) throw refuse("was not typed the same way twice");
    return value;
  }
  const bytes = file === undefined || file === "-" ? await readStdin(io.stdin) : await readBytes(resolve(io.cwd, file), file);
  if (!isUtf8(bytes)) throw refuse("is not text in UTF-8; encode it, for example with base64");
  const value = bytes.toString().replace(/\r?\n$/, "");
  if (value === "") throw refuse("is empty");
  if (value.includes("\0")) throw refuse("contains a NUL character, which no process can be given");
  if (Buffer.byteLength(value) > MAX_SECRET_BYTES)
    throw refuse(`has ${Buffer.byteLength(value)} bytes; at most ${MAX_SECRET_BYTES} are stored`);
  return value;
}

async function readStdin(stdin: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function readBytes(path: string, shown: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AppError("input/unreadable", `${shown} cannot be read: ${asError(cause).message}`, { cause });
  }
}

function setText(view: SecretView): string {
  const has = view.nodes.filter(({ state }) => state === "current").map(({ node }) => node);
  const lacks = view.nodes.filter(({ state }) => state === "noKey").map(({ node }) => node);
  const without = lacks.length === 0 ? "" : `; without a key yet, so set it again later: ${lacks.join(", ")}`;
  return `${nameOf(view)}: encrypted for ${has.length === 1 ? "1 node" : `${has.length} nodes`} (${has.join(", ")})${without}\n`;
}

const LACKS: Readonly<Record<string, string>> = {
  outdated: "older value",
  otherKey: "new key",
  missing: "not set",
  noKey: "no key",
  notMeant: "not meant for it",
};

function secretColumns({ clock, paint }: Pick<Context, "clock" | "paint">): Column<SecretView>[] {
  const odd = (secret: SecretView) => secret.nodes.filter(({ state }) => state !== "current");
  const meant = (secret: SecretView) => secret.nodes.filter(({ state }) => state !== "notMeant").length;
  return [
    { title: "SECRET", cell: nameOf },
    { title: "FOR", cell: ({ target }) => targetText(target) },
    {
      title: "NODES",
      cell: (secret) => {
        const text = `${meant(secret) - odd(secret).filter(({ state }) => state !== "notMeant").length}/${meant(secret)}`;
        return odd(secret).length === 0 ? text : paint("yellow", text);
      },
    },
    { title: "ODD", cell: (secret) => oddText(odd(secret)) },
    { title: "SET", cell: (secret) => humanTime(secret.updatedAt, clock.now()), sort: (secret) => secret.updatedAt },
    { title: "BY", cell: (secret) => secret.by },
  ];
}

/** A few of the nodes that lack the value, and why; `-o json` has them all. */
function oddText(nodes: SecretView["nodes"]): string {
  const shown = nodes.slice(0, 3).map(({ node, state }) => `${node} (${LACKS[state]})`);
  return nodes.length === 0 ? "-" : `${shown.join(", ")}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ""}`;
}

function targetText({ nodes = [], labels = {} }: TargetSpec): string {
  const parts = [...nodes, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)];
  return parts.length === 0 ? "all" : parts.join(",");
}

function nameOf({ group, name }: SecretRef): string {
  return `${group}/${name}`;
}
