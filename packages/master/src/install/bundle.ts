/**
 * Everything that an agent needs on a host, as one archive: Node.js, the agent and the packages that it needs. The name of a release is its version and a hash of
 * all files, so equal content has an equal name; the archive is only made when some host lacks it.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createGzip } from "node:zlib";
import { type BundleFile, filesOf } from "./bundle-files.ts";
import { type PlacedPackage, placePackages, readManifest } from "./bundle-packages.ts";
import { type NodeBinary, readNodeBinary } from "./node-binary.ts";
import { type TarEntry, tarEnd, tarEntry } from "./tar.ts";

export type Bundle = {
  /** `<version>-<hash>`: the folder of the release. */
  readonly name: string;
  readonly version: string;
  readonly node: NodeBinary;
  /** Unpacked. */
  readonly bytes: number;
  /** The archive, gzipped; made at the first call and kept. */
  archive(): Promise<readonly Uint8Array[]>;
};

/** Below every other file: an archive that has it is whole. */
const LAST_FILE = "release.json";

/** Throws `install/refused`, `input/unreadable` or `input/invalid`. */
export async function openBundle(agentFolder: string, nodePath: string): Promise<Bundle> {
  const node = await readNodeBinary(nodePath);
  const packages = placePackages(agentFolder, node.arch);
  const files: BundleFile[] = [{ path: "bin/node", from: nodePath, mode: 0o755 }, ...packages.flatMap(filesOf)];
  const links = packages.flatMap(linkTo);
  const version = readManifest(agentFolder).version ?? "unknown";
  const { hash, bytes } = await weigh(files, links);
  const name = `${version.replaceAll(/[^A-Za-z0-9._+-]/g, "-")}-${hash}`;
  let archive: Promise<readonly Uint8Array[]> | undefined;
  return {
    ...{ name, version, node, bytes },
    archive() {
      const last = Buffer.from(`${JSON.stringify({ name, version, arch: node.arch })}\n`);
      archive ??= pack(files, [...links, { path: LAST_FILE, mode: 0o644, content: last }]);
      return archive;
    },
  };
}

/** The link below node_modules by which other packages find one of ours. */
function linkTo({ name, isOwn, place }: PlacedPackage): TarEntry[] {
  return isOwn ? [{ path: join("node_modules", name), mode: 0o777, linkTo: join("..", place) }] : [];
}

async function weigh(files: readonly BundleFile[], links: readonly TarEntry[]): Promise<{ hash: string; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for (const { path, from, mode } of files) {
    const content = await readFile(from);
    bytes += content.length;
    hash.update(`${path}\0${mode}\0${content.length}\0`).update(content);
  }
  for (const link of links) hash.update(`${link.path}\0`);
  return { hash: hash.digest("hex").slice(0, 10), bytes };
}

async function pack(files: readonly BundleFile[], rest: readonly TarEntry[]): Promise<Uint8Array[]> {
  const gzip = createGzip({ level: 1, chunkSize: 2 ** 18 });
  const chunks: Uint8Array[] = [];
  gzip.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  const done = new Promise<void>((resolve, reject) => gzip.once("end", resolve).once("error", reject));
  const write = async (block: Uint8Array) => {
    if (!gzip.write(block)) await new Promise<void>((resolve) => gzip.once("drain", resolve));
  };
  for (const { path, from, mode } of files) for (const block of tarEntry({ path, mode, content: await readFile(from) })) await write(block);
  for (const entry of rest) for (const block of tarEntry(entry)) await write(block);
  gzip.end(tarEnd());
  await done;
  return chunks;
}
