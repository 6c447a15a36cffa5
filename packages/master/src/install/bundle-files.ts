/** The files of a package that run: no types, maps, sources in C, documents or tests. Licences stay. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { PlacedPackage } from "./bundle-packages.ts";

export type BundleFile = { readonly path: string; readonly from: string; readonly mode: number };

/** What our own packages ship of a checkout; a published one has nothing else. */
const OWN_PARTS = new Set(["package.json", "bin", "src", "launch.js", "systemd", "LICENSE"]);
const NOT_RUN = /\.(?:d\.[cm]?ts|map|md|markdown|cc?|cpp|h|hh|hpp|gyp|gypi|flow|tsbuildinfo)$/i;
const TYPESCRIPT = /\.[cm]?tsx?$/;
const OWN_TESTS = /\.test\.[jt]s$|-contract(?:-[a-z-]+)?\.[jt]s$/;

/** In the order of their paths. */
export function filesOf(pack: PlacedPackage): BundleFile[] {
  return list(pack, "").sort((a, b) => (a.path < b.path ? -1 : 1));
}

function list(pack: PlacedPackage, below: string): BundleFile[] {
  return readdirSync(join(pack.folder, below), { withFileTypes: true }).flatMap((entry): BundleFile[] => {
    const path = join(below, entry.name);
    if (entry.name === "node_modules" || (below === "" && pack.isOwn && !OWN_PARTS.has(entry.name))) return [];
    if (entry.isDirectory()) return entry.name.startsWith(".") ? [] : list(pack, path);
    if (!entry.isFile() || !runs(pack, entry.name)) return [];
    const from = join(pack.folder, path);
    return [{ path: join(pack.place, path), from, mode: (statSync(from).mode & 0o100) === 0 ? 0o644 : 0o755 }];
  });
}

function runs({ isOwn }: PlacedPackage, name: string): boolean {
  if (/^licen[cs]e/i.test(name) || name === "package.json") return true;
  if (NOT_RUN.test(name)) return false;
  return isOwn ? !OWN_TESTS.test(name) : !TYPESCRIPT.test(name);
}
