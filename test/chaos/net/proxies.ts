/** All hosts on the loopback, with a TCP proxy between each client of etcd and each of its members: where network namespaces are not allowed. */
import { type FaultProxy, startFaultProxy } from "../../support/fault-proxy.ts";
import type { Net } from "./net.ts";

export function openProxies(): Net {
  const proxies = new Map<string, FaultProxy>();
  const key = (client: string, member: string) => `${client}>${member}`;
  const between = (from: string, to: string) => {
    const there = proxies.get(key(from, to));
    return there === undefined
      ? { proxy: proxies.get(key(to, from)), direction: "toClient" as const }
      : { proxy: there, direction: "toServer" as const };
  };
  return {
    kind: "proxies",
    lacks: [
      "namespaces: members of etcd are not cut from one another, hosts have no addresses of their own, nothing is lost but whole connections",
    ],
    address: () => "127.0.0.1",
    wrapper: () => [],
    async endpoints(host, members) {
      for (const { name, port } of members) {
        if (!proxies.has(key(host, name))) proxies.set(key(host, name), await startFaultProxy(port));
      }
      return members.map(({ name }) => proxies.get(key(host, name))?.endpoint ?? "");
    },
    async cut(pairs) {
      for (const [from, to] of pairs) {
        const { proxy, direction } = between(from, to);
        proxy?.blackhole(direction);
      }
    },
    async mend(pairs) {
      for (const [from, to] of pairs) {
        const { proxy } = between(from, to);
        // What has vanished is missing in the streams.
        proxy?.drop();
        proxy?.open();
      }
    },
    async slow(host, how) {
      for (const [name, proxy] of proxies) if (name.startsWith(`${host}>`)) proxy.delay(how?.delayMs ?? 0);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    },
  };
}
