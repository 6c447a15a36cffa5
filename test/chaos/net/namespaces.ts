/**
 * Each host in a network namespace of its own, joined by a bridge in one more; the harness reaches them all over a link of its own. Needs root, iproute2
 * and nftables. Names carry the pid of the run (`fcc-<pid>-<host>`), so that whatever a crash leaves is found and removed by the next run.
 */
import { existsSync, readdirSync } from "node:fs";
import { isAlive } from "../../support/processes.ts";
import { IP, NFT, NSENTER, run, runAsync, TC, works } from "./commands.ts";
import type { Net, Pair, Slowness } from "./net.ts";

const PREFIX = "fcc";
const NETNS = "/run/netns";
const HUB = "hub";
/** Enough for a fleet without a fault; what a slow link sends beyond it waits. */
const SLOW_RATE = "400kbit";

/** Why there are none here; undefined when there are. */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return "only root may make network namespaces";
  if (!works([IP, "-V"])) return "there is no `ip` (Debian: iproute2)";
  if (!works([NFT, "-v"])) return "there is no `nft` (Debian: nftables)";
  if (!existsSync(NSENTER)) return "there is no nsenter (Debian: util-linux)";
  const name = `${PREFIX}-${process.pid}-probe`;
  if (!works([IP, "netns", "add", name])) return "network namespaces may not be made here";
  const inside = [NSENTER, `--net=${NETNS}/${name}`, "--", NFT];
  const filters =
    works([...inside, "-f", "-"], rules(["10.0.0.1"], 1)) && run([...inside, "list", "ruleset"]).includes("ip saddr 10.0.0.1 drop");
  run([IP, "netns", "del", name]);
  return filters ? undefined : "the kernel has no nftables";
}

/** Removes what runs that are no more have left behind, processes included. */
export function reapNamespaces(own = -1): void {
  const found = existsSync(NETNS) ? readdirSync(NETNS) : [];
  for (const name of found) {
    const pid = Number(new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1]);
    if (Number.isNaN(pid) || (pid !== own && isAlive(pid))) continue;
    for (const left of run([IP, "netns", "pids", name]).split("\n").filter(Boolean)) kill(Number(left));
    works([IP, "netns", "del", name]);
  }
}

export function openNamespaces(hosts: readonly string[]): Net {
  reapNamespaces();
  const id = process.pid;
  const subnet = freeSubnet();
  const place = new Map(hosts.map((host, index) => [host, index + 10]));
  const namespace = (host: string) => `${PREFIX}-${id}-${host}`;
  const wrapper = (host: string) => [NSENTER, `--net=${NETNS}/${namespace(host)}`, "--"];
  const address = (host: string) => `${subnet}.${place.get(host) ?? 0}`;
  /** Per host: those whose packets do not arrive, and how much of the others is lost. */
  const deaf = new Map(hosts.map((host) => [host, { from: new Set<string>(), lossPercent: 0 }]));
  const driver = `${PREFIX}${id.toString(36)}`;
  const inHub = (...command: string[]) => run([...wrapper(HUB), IP, ...command]);
  const dispose = () => reapNamespaces(id);
  process.on("exit", dispose);

  run([IP, "netns", "add", namespace(HUB)]);
  inHub("link", "add", "br0", "type", "bridge");
  inHub("link", "set", "br0", "up");
  // The harness itself.
  run([IP, "link", "add", driver, "type", "veth", "peer", "name", "driver", "netns", namespace(HUB)]);
  run([IP, "addr", "add", `${subnet}.1/24`, "dev", driver]);
  run([IP, "link", "set", driver, "up"]);
  inHub("link", "set", "driver", "master", "br0", "up");
  for (const host of hosts) {
    run([IP, "netns", "add", namespace(host)]);
    const inside = (...command: string[]) => run([...wrapper(host), IP, ...command]);
    inside("link", "add", "eth0", "type", "veth", "peer", "name", `to-${host}`, "netns", namespace(HUB));
    inside("link", "set", "lo", "up");
    inside("addr", "add", `${address(host)}/24`, "dev", "eth0");
    inside("link", "set", "eth0", "up");
    inHub("link", "set", `to-${host}`, "master", "br0", "up");
  }
  const hasNetem = works([...wrapper(HUB), TC, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]);

  function filter(host: string): Promise<void> {
    const { from = new Set<string>(), lossPercent = 0 } = deaf.get(host) ?? {};
    return runAsync([...wrapper(host), NFT, "-f", "-"], rules([...from].map(address), lossPercent));
  }

  async function slow(host: string, how: Slowness | undefined): Promise<void> {
    const own = deaf.get(host);
    if (own !== undefined) own.lossPercent = how?.lossPercent ?? 0;
    await filter(host);
    const qdisc = [...wrapper(host), TC, "qdisc"];
    if (how === undefined || how.delayMs === 0) return runAsync([...qdisc, "del", "dev", "eth0", "root"]).catch(() => {});
    const discipline = hasNetem
      ? ["netem", "delay", `${how.delayMs}ms`, `${Math.round(how.delayMs / 3)}ms`]
      : ["tbf", "rate", SLOW_RATE, "burst", "4kb", "latency", `${how.delayMs}ms`];
    await runAsync([...qdisc, "replace", "dev", "eth0", "root", ...discipline]);
  }

  async function change(pairs: readonly Pair[], act: (from: Set<string>, host: string) => void): Promise<void> {
    for (const [from, to] of pairs) {
      const own = deaf.get(to);
      if (own !== undefined) act(own.from, from);
    }
    await Promise.all([...new Set(pairs.map(([, to]) => to))].map(filter));
  }

  return {
    kind: "namespaces",
    lacks: hasNetem ? [] : ["netem: delay is that of a queue (tbf)"],
    address,
    wrapper,
    endpoints: async (_, members) => members.map(({ endpoint }) => endpoint),
    cut: (pairs) => change(pairs, (from, host) => from.add(host)),
    mend: (pairs) => change(pairs, (from, host) => from.delete(host)),
    slow,
    async [Symbol.asyncDispose]() {
      process.off("exit", dispose);
      dispose();
    },
  };
}

function rules(deafTo: readonly string[], lossPercent: number): string {
  const drops = [
    ...deafTo.map((address) => `ip saddr ${address} drop`),
    ...(lossPercent === 0 ? [] : [`iifname "eth0" numgen random mod 100 < ${lossPercent} drop`]),
  ];
  return `table inet chaos {}
flush table inet chaos
table inet chaos {
  chain arriving {
    type filter hook input priority 0; policy accept;
    ${drops.join("\n    ")}
  }
}
`;
}

/** A /24 that this machine has no route to. */
function freeSubnet(): string {
  const taken = run([IP, "-4", "addr", "show"]);
  for (let n = process.pid % 250; ; n = (n + 1) % 250) {
    const subnet = `10.213.${n}`;
    if (!taken.includes(`${subnet}.`)) return subnet;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
