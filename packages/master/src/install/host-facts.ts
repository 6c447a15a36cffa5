/** What a host is and has, read in two short looks, and whether an agent can run there. */
import { AppError } from "fleetcron-shared/base/errors";
import type { Bundle } from "./bundle.ts";
import { checkPrefix, type Places, placesOf, ROOT_PREFIX } from "./places.ts";
import type { Answer, Remote } from "./remote.ts";

/** Who works on the host, and where. */
export type Workplace = { readonly asRoot: boolean; readonly isRoot: boolean; readonly places: Places; readonly who: Who };
export type Who = { readonly system: string; readonly machine: string; readonly missing: readonly string[] };

export type HostFacts = {
  readonly folder: string;
  readonly isWritable: boolean;
  readonly freeKib: number | undefined;
  readonly hasInterpreter: boolean;
  readonly isMusl: boolean;
  readonly manager: "systemd" | "ctl";
  readonly hasCrontab: boolean;
  /** The release that `current` leads to. */
  readonly current: string | undefined;
  readonly releases: readonly string[];
  /** The mark of what starts the agent; empty: it is there and not ours. */
  readonly unit: string | undefined;
  readonly ctl: string | undefined;
  readonly isActive: boolean;
  /** As the agent wrote it when it got ready. */
  readonly ready: { readonly node: string; readonly pid: number } | undefined;
  readonly config: string | undefined;
};

const MACHINES: Readonly<Record<string, string>> = { x86_64: "x64", amd64: "x64", aarch64: "arm64", arm64: "arm64" };
const SPARE_KIB = 64 * 1024;

/** Finds out who the login is, and decides about root and the folder. */
export async function findWorkplace(remote: Remote, host: string, wanted: string | undefined): Promise<Workplace> {
  const { values, lines } = await remote.run({ step: "looking at the host", script: "who", vars: {} }, false);
  const { uid, home = "", sudo } = values;
  const who = { system: values.system ?? "?", machine: values.machine ?? "?", missing: allOf(lines, "missing") };
  const isHome = wanted !== undefined && home.length > 1 && `${wanted}/`.startsWith(`${home}/`);
  const asRoot = uid !== "0" && sudo === "yes" && !isHome;
  const isRoot = uid === "0" || asRoot;
  if (wanted === undefined && !isRoot && !/^(?:\/[A-Za-z0-9._@+-]+)+$/.test(home))
    throw new AppError("install/refused", `${host}: looking at the host: the user's home folder ${JSON.stringify(home)} cannot be used`, {
      hint: "choose a folder with --prefix",
    });
  const prefix = wanted ?? (isRoot ? ROOT_PREFIX : checkPrefix(`${home}/.local/share/fleetcron`));
  return { asRoot, isRoot, places: placesOf(prefix), who };
}

export async function readFacts(remote: Remote, { asRoot, places, isRoot }: Workplace, interpreter: string): Promise<HostFacts> {
  const { prefix, config, ctl, unit } = places;
  const vars = { prefix, config, ctl, unit, interpreter };
  const answer = await remote.run({ step: "looking at the host", script: "facts", vars }, asRoot);
  const { values, config: text } = splitConfig(answer);
  const manager = values.systemd === "yes" && isRoot ? "systemd" : "ctl";
  return {
    folder: values.folder ?? prefix,
    isWritable: values.writable === "yes",
    freeKib: /^\d+$/.test(values.freeKib ?? "") ? Number(values.freeKib) : undefined,
    hasInterpreter: values.interpreter === "yes",
    isMusl: values.musl === "yes",
    manager,
    hasCrontab: values.crontab === "yes",
    current: values.current === "" ? undefined : values.current,
    releases: allOf(answer.lines, "release"),
    unit: values.unit,
    ctl: values.ctl,
    isActive: (manager === "systemd" ? values.unitActive : values.ctlActive) === "yes",
    ready: readyOf(values.ready),
    config: values.config === "yes" ? text : undefined,
  };
}

/** Throws `install/refused` when the bundle cannot run on the host, or there is no room for it. */
export function checkHost(host: string, bundle: Bundle, { who, places }: Workplace, facts: HostFacts): void {
  const refuse = (why: string, hint: string) => new AppError("install/refused", `${host}: checking the host: ${why}`, { hint });
  const arch = MACHINES[who.machine];
  if (who.system !== "Linux") throw refuse(`it runs ${who.system}`, "agents run on Linux");
  if (arch === undefined) throw refuse(`its processor is ${who.machine}`, "agents run on x86_64 and aarch64");
  if (arch !== bundle.node.arch)
    throw refuse(
      `its processor is ${who.machine} (${arch}), and ${bundle.node.path} is for ${bundle.node.arch}`,
      `give a Node.js for ${arch} with --node-binary FILE`,
    );
  if (who.missing.length > 0)
    throw refuse(`it lacks ${who.missing.join(", ")}`, "install these programs there; every distribution has them");
  if (bundle.node.interpreter !== undefined && !facts.hasInterpreter)
    throw refuse(
      `it has no ${bundle.node.interpreter}${facts.isMusl ? ": its C library is musl" : ""}`,
      "agents need a distribution with glibc 2.28 or later, such as Debian, Ubuntu, RHEL or SUSE",
    );
  if (!facts.isWritable)
    throw refuse(
      `${facts.folder} is not writable for this user`,
      "log in as root or as a user with sudo without a password, or choose a folder with --prefix",
    );
  const neededKib = Math.ceil(bundle.bytes / 1024) + SPARE_KIB;
  const isThere = facts.releases.includes(bundle.name);
  if (!isThere && facts.freeKib !== undefined && facts.freeKib < neededKib)
    throw refuse(
      `${facts.folder} has ${Math.floor(facts.freeKib / 1024)} MiB free, and ${Math.ceil(neededKib / 1024)} MiB are needed`,
      "make room there, or choose another folder with --prefix",
    );
  const { unit } = facts;
  if (facts.manager === "systemd" && unit !== undefined && !unit.startsWith(`${places.prefix} `))
    throw refuse(
      unit === ""
        ? `${places.unit} is there and was made by somebody else`
        : `there is an agent already, installed in ${unit.split(" ")[0]}`,
      unit === ""
        ? "remove that unit first, or leave this host as it is"
        : `give --prefix ${unit.split(" ")[0]}, or uninstall that one first`,
    );
}

function splitConfig(answer: Answer): { values: Answer["values"]; config: string } {
  const [head = "", ...rest] = answer.text.split("@@config@@\n");
  const values = Object.fromEntries(
    head.split("\n").flatMap((line): [string, string][] => {
      const at = line.indexOf("=");
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
    }),
  );
  return { values, config: rest.join("@@config@@\n") };
}

function allOf(lines: readonly string[], name: string): string[] {
  return lines.flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
}

export function readyOf(text: string | undefined): { node: string; pid: number } | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const value = JSON.parse(text) as { node?: unknown; pid?: unknown };
    return typeof value.node === "string" && typeof value.pid === "number" ? { node: value.node, pid: value.pid } : undefined;
  } catch {
    return undefined;
  }
}
