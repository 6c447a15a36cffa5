/**
 * Which addresses may be reached: public ones, and what a list allows beside them. A target's name is resolved once, the addresses are judged, and
 * the connection goes to one that was judged, so that a name cannot mean something else a moment later. Who asks says in its own words what is refused.
 */
import { BlockList, isIP } from "node:net";

export type Verdict =
  /** `addresses`: those that may be connected to, never none. */
  | { readonly kind: "allowed"; readonly name: string; readonly addresses: readonly string[]; readonly refused: readonly string[] }
  /** None may be. `is` names the target: `10.0.0.1`, or `db.example is 10.0.0.1, which`. */
  | { readonly kind: "refused"; readonly is: string; readonly addresses: readonly string[] }
  | { readonly kind: "unknown"; readonly name: string };

export type AddressJudge = {
  /** Judges a name or an address (IPv6 with or without brackets). Never throws. */
  judge(host: string): Promise<Verdict>;
};

/** All addresses of a name. */
export type LookUp = (name: string) => Promise<readonly string[]>;

/** Not reachable in public, or not one machine: RFC 6890 and what else hosts serve only themselves or their network on. */
const SPECIAL_V4 = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"],
  ...["192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
];
const SPECIAL_V6 = [
  ...["::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
  ...["5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8"],
];
/** In a list of what is allowed: every address that is not public. */
const PRIVATE = "private";

/** Whether `entry` is `private`, an address, or a network such as 10.1.0.0/16. */
export function isNetworkEntry(entry: string): boolean {
  return entry === PRIVATE || isIP(entry) !== 0 || parseNetwork(entry) !== undefined;
}

/** Whether `entry` may stand in a list of what is allowed: a network entry, or a host name. */
export function isAllowEntry(entry: string): boolean {
  if (isNetworkEntry(entry)) return true;
  return !entry.includes("/") && /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(entry) && !/^[\d.]+$/.test(entry);
}

/** `allow`: what may be reached although it is not public (isAllowEntry). */
export function createAddressJudge(deps: { lookUp: LookUp }, allow: readonly string[]): AddressJudge {
  const special = listOf([...SPECIAL_V4, ...SPECIAL_V6]);
  const allowed = listOf(allow.flatMap((entry) => (isIP(entry) === 0 ? [entry] : [`${entry}/${isIP(entry) === 4 ? 32 : 128}`])));
  const names = new Set(allow.map((entry) => entry.toLowerCase()));
  const everything = allow.includes(PRIVATE);

  const mayReach = (address: string) => everything || contains(allowed, address) || !contains(special, address);

  return {
    async judge(host) {
      const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
      const addresses = isIP(name) === 0 ? await lookUpAll(deps.lookUp, name) : [name];
      if (addresses.length === 0) return { kind: "unknown", name };
      const reachable = names.has(name) ? addresses : addresses.filter(mayReach);
      const refused = addresses.filter((address) => !reachable.includes(address));
      if (reachable.length > 0) return { kind: "allowed", name, addresses: reachable, refused };
      return { kind: "refused", is: isIP(name) === 0 ? `${name} is ${addresses.join(", ")}, which` : name, addresses };
    },
  };
}

/** None when the resolver fails: whatever it says, the name has no address now. */
async function lookUpAll(lookUp: LookUp, name: string): Promise<readonly string[]> {
  try {
    return (await lookUp(name)).filter((address) => isIP(address) !== 0);
  } catch {
    return [];
  }
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const parsed = parseNetwork(network);
    if (parsed !== undefined) list.addSubnet(parsed.address, parsed.bits, parsed.family);
  }
  return list;
}

function parseNetwork(text: string): { address: string; bits: number; family: "ipv4" | "ipv6" } | undefined {
  const [, address = "", bits = ""] = /^([0-9A-Fa-f.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0 || Number(bits) > (version === 4 ? 32 : 128)) return undefined;
  return { address, bits: Number(bits), family: version === 4 ? "ipv4" : "ipv6" };
}

/** IPv4 inside of IPv6 counts as the IPv4 address that it is. */
function contains(list: BlockList, address: string): boolean {
  const bare = address.replace(/%.*$/, "");
  return isIP(bare) === 4 ? list.check(bare, "ipv4") : list.check(bare, "ipv6");
}
