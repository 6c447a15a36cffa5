/**
 * What happens to members of etcd: killed, frozen, slow on their disk (bursts of SIGSTOP: to the others it is a member whose every write takes long),
 * compacted, defragmented, out of space, replaced. One of them at a time, but for the two that take the majority away.
 */
import { systemClock } from "fleetcron-shared/base/clock";
import type { ChaosFleet } from "../fleet.ts";
import type { Chance } from "../random.ts";
import type { Fault, Strike } from "./fault.ts";

const always = () => undefined;
const drawMember = (chance: Chance, cast: ChaosFleet["cast"], forMs: number): Strike => ({
  touches: [chance.flip(0.5) ? "leader" : chance.pick(cast.members)],
  forMs,
  how: {},
});

const memberOf = (fleet: ChaosFleet, { touches: [name = ""] }: Strike) => fleet.member(name);

const memberKill: Fault = {
  name: "member-kill",
  family: "members",
  available: always,
  draw: (chance, cast) => drawMember(chance, cast, chance.int(1000, 15_000)),
  async inject(fleet, strike) {
    const member = memberOf(fleet, strike);
    await member.kill();
    return () => member.restart({ wait: false });
  },
};

const memberStop: Fault = {
  name: "member-stop",
  family: "members",
  available: always,
  draw: (chance, cast) => drawMember(chance, cast, chance.int(500, 12_000)),
  async inject(fleet, strike) {
    const member = memberOf(fleet, strike);
    member.pause();
    return async () => member.resume();
  },
};

/** Two of three at once: nothing can be read or written. */
const majorityStop: Fault = {
  name: "majority-stop",
  family: "members",
  available: always,
  draw: (chance, cast) => ({ touches: chance.sample(cast.members, 2), forMs: chance.int(1000, 12_000), how: {} }),
  async inject(fleet, { touches }) {
    const members = touches.map((name) => fleet.member(name));
    for (const member of members) member.pause();
    return async () => {
      for (const member of members) member.resume();
    };
  },
};

const majorityKill: Fault = {
  name: "majority-kill",
  family: "members",
  available: always,
  draw: (chance, cast) => ({ touches: chance.sample(cast.members, 2), forMs: chance.int(1000, 10_000), how: {} }),
  async inject(fleet, { touches }) {
    const members = touches.map((name) => fleet.member(name));
    await Promise.all(members.map((member) => member.kill()));
    return async () => void (await Promise.all(members.map((member) => member.restart({ wait: false }))));
  },
};

const slowDisk: Fault = {
  name: "slow-fsync",
  family: "members",
  available: always,
  draw: (chance, cast) => ({
    ...drawMember(chance, cast, chance.int(4000, 15_000)),
    how: { stopMs: chance.int(50, 400), goMs: chance.int(20, 200) },
  }),
  async inject(fleet, strike) {
    const member = memberOf(fleet, strike);
    const over = new AbortController();
    const bursts = (async () => {
      while (!over.signal.aborted) {
        member.pause();
        await systemClock.sleep(Number(strike.how.stopMs));
        member.resume();
        await systemClock.sleep(Number(strike.how.goMs), over.signal);
      }
    })();
    return async () => {
      over.abort();
      await bursts;
    };
  },
};

const compaction: Fault = {
  name: "compaction",
  family: "members",
  available: always,
  draw: (_, cast) => ({ touches: cast.members, forMs: 500, how: {} }),
  async inject(fleet) {
    const { revision } = await fleet.kv.range({ start: "/", end: "0", limit: 1 });
    await ask(fleet, "/v3/kv/compaction", { revision: String(revision), physical: true }).catch(() => {});
    return async () => {};
  },
};

const defragmentation: Fault = {
  name: "defragmentation",
  family: "members",
  available: always,
  draw: (_, cast) => ({ touches: cast.members, forMs: 1000, how: {} }),
  async inject(fleet) {
    for (const { endpoint } of fleet.etcd.members) await post(endpoint, "/v3/maintenance/defragment", {}).catch(() => {});
    return async () => {};
  },
};

/** Every write is refused, deletes excepted. */
const noSpace: Fault = {
  name: "no-space",
  family: "members",
  available: always,
  draw: (chance, cast) => ({ touches: cast.members, forMs: chance.int(1000, 12_000), how: {} }),
  async inject(fleet) {
    const { header } = await ask<{ header: { member_id: string } }>(fleet, "/v3/maintenance/status", {});
    await ask(fleet, "/v3/maintenance/alarm", { action: "ACTIVATE", memberID: header.member_id, alarm: "NOSPACE" });
    return () =>
      untilDone(() => ask(fleet, "/v3/maintenance/alarm", { action: "DEACTIVATE", memberID: header.member_id, alarm: "NOSPACE" }));
  },
};

/** A member is removed with its data, and another one joins in its place. */
const replaced: Fault = {
  name: "member-replaced",
  family: "members",
  available: always,
  draw: (chance, cast) => ({ touches: [chance.pick(cast.members)], forMs: chance.int(2000, 8000), how: {} }),
  async inject(fleet, strike) {
    const member = memberOf(fleet, strike);
    type Members = { members: { ID: string; name?: string; peerURLs: string[] }[] };
    const { members } = await ask<Members>(fleet, "/v3/cluster/member/list", {}, member.name);
    const own = members.find(({ name }) => name === member.name);
    if (own === undefined) throw new Error(`etcd does not know ${member.name}`);
    await untilDone(() => ask(fleet, "/v3/cluster/member/remove", { ID: own.ID }, member.name));
    await member.kill();
    return async () => {
      await untilDone(() => ask(fleet, "/v3/cluster/member/add", { peerURLs: own.peerURLs }, member.name));
      await member.restart({ wipe: true, wait: false, args: ["--initial-cluster-state", "existing"] });
    };
  },
};

export const MEMBER_FAULTS: readonly Fault[] = [
  ...[memberKill, memberStop, majorityStop, majorityKill, slowDisk],
  ...[compaction, defragmentation, noSpace, replaced],
];

/** Asks the first member that answers, but `not` this one. */
async function ask<T = unknown>(fleet: ChaosFleet, path: string, body: object, not?: string): Promise<T> {
  let last: unknown;
  for (const { name, endpoint } of fleet.etcd.members) {
    if (name === not) continue;
    try {
      return await post<T>(endpoint, path, body);
    } catch (thrown) {
      last = thrown;
    }
  }
  throw last;
}

async function post<T>(endpoint: string, path: string, body: object): Promise<T> {
  const answer = await fetch(endpoint + path, { method: "POST", body: JSON.stringify(body), signal: AbortSignal.timeout(3000) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${text}`);
  return JSON.parse(text) as T;
}

/** A change of the cluster needs its majority, which other faults may have taken for a while. */
async function untilDone(act: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return void (await act());
    } catch (thrown) {
      // A lost answer: it is done already.
      if (/already|not found/i.test(String(thrown))) return;
      if (attempt >= 20) throw thrown;
      await systemClock.sleep(500);
    }
  }
}
