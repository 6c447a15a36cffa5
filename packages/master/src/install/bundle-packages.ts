/**
 * Which packages the agent needs at run time, and where each one stands in a bundle: its dependencies are walked from where they are resolved here (a checkout or
 * an installed package), and laid out anew so that the agent finds the very same ones.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "fleetcron-shared/base/errors";

export type PlacedPackage = {
  readonly name: string;
  /** Its real folder here. */
  readonly folder: string;
  /** Its folder in the bundle. */
  readonly place: string;
  /** Ours: what it ships is known by name, its sources may be TypeScript. */
  readonly isOwn: boolean;
};

type Manifest = {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly cpu?: readonly string[];
  readonly os?: readonly string[];
};

/** `agentFolder` is the agent's package. Throws `install/refused` when something that it needs for the architecture is not here. */
export function placePackages(agentFolder: string, arch: string): PlacedPackage[] {
  const packages = new Map<string, PlacedPackage>();
  /** Where names lead in the bundle: `<place>/node_modules/<name>` → real folder. */
  const visible = new Map<string, string>();
  const queue: { readonly folder: string; readonly place: string; readonly chain: readonly string[] }[] = [];

  const add = (name: string, folder: string, holder: string) => {
    const slot = join(holder, "node_modules", name);
    visible.set(slot, folder);
    const isOwn = name.startsWith("fleetcron-");
    // Node.js strips no types below node_modules: our packages stand beside it, and a link leads there.
    const place = isOwn ? join("packages", name) : slot;
    packages.set(slot, { name, folder, place, isOwn });
    queue.push({ folder, place, chain: isOwn ? ["", place] : [...chainOf(slot), slot] });
  };

  add("fleetcron-agent", realpathSync(agentFolder), "");
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const [name, folder] of dependenciesOf(next.folder, arch)) {
      const found = next.chain.toReversed().map((holder) => visible.get(join(holder, "node_modules", name)));
      const nearest = found.find((each) => each !== undefined);
      if (nearest === folder) continue;
      add(name, folder, nearest === undefined ? "" : next.place);
    }
  }
  return [...packages.values()];
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}

/** The folders whose node_modules a package at this place looks into. */
function chainOf(slot: string): string[] {
  const parts = slot.split("/node_modules/");
  return ["", ...parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/node_modules/"))];
}

function dependenciesOf(folder: string, arch: string): [string, string][] {
  const { dependencies = {}, optionalDependencies = {} } = readManifest(folder);
  const found: [string, string][] = [];
  const platforms = Object.keys(optionalDependencies).filter((name) => name.endsWith(`-linux-${process.arch}`));
  for (const name of new Set([...Object.keys(dependencies), ...Object.keys(optionalDependencies)])) {
    const isOptional = name in optionalDependencies;
    const resolved = resolvePackage(folder, name);
    if (resolved === undefined) {
      const isNeeded = !isOptional || (name.endsWith(`-linux-${arch}`) && platforms.length > 0);
      if (isNeeded) throw lacking(folder, name, arch);
      continue;
    }
    const { cpu, os } = readManifest(resolved);
    if (isOptional && ((cpu !== undefined && !cpu.includes(arch)) || (os !== undefined && !os.includes("linux")))) continue;
    found.push([name, resolved]);
  }
  return found;
}

/** The real folder of a dependency, found as Node.js does. */
function resolvePackage(from: string, name: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return realpathSync(candidate);
    if (folder === dirname(folder)) return undefined;
  }
}

function lacking(folder: string, name: string, arch: string): AppError {
  return new AppError(
    "install/refused",
    `the agent for ${arch} needs the package ${name}, which is not installed here (asked for by ${folder})`,
    {
      hint: `install it beside this program, for example with \`npm install --force --no-save ${name}\`, or install the agent by npm on the host`,
    },
  );
}
