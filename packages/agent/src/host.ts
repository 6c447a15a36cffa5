/** What this host says of itself: names, addresses, boot, a stable node id. */
import { readFileSync } from "node:fs";
import { arch, hostname, networkInterfaces, platform } from "node:os";
import { hash32 } from "fleetcron-shared/base/hash";

export type HostFacts = {
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly bootId: string;
  readonly labels: Readonly<Record<string, string>>;
};

export function readHost(version: string): HostFacts {
  const name = hostname();
  const addresses = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter((entry) => !entry.internal)
    .map((entry) => entry.address);
  return {
    hostname: name,
    addresses,
    bootId: readText("/proc/sys/kernel/random/boot_id") ?? "unknown",
    labels: { "fleetcron.io/hostname": name, "fleetcron.io/os": platform(), "fleetcron.io/arch": arch(), "fleetcron.io/version": version },
  };
}

/** An id that stays when the host is renamed: the host's name for people, and a hash of its machine id. */
export function deriveNodeId(): string {
  const machine = readText("/etc/machine-id") ?? readText("/var/lib/dbus/machine-id");
  const name = hostname().replaceAll(/[^A-Za-z0-9._-]/g, "-");
  return machine === undefined ? name : `${name}-${hash32(machine).toString(16).padStart(8, "0")}`;
}

function readText(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}
