/** A process full of simulated agents; forked by agents.ts, which tells it what to do. */
import { systemClock } from "fleetcron-shared/base/clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { type SimAgent, startSimAgent } from "./sim-agent.ts";

export type Ask =
  | { readonly do: "start"; readonly etcd: string; readonly from: number; readonly to: number; readonly sessionTtlMs: number }
  | { readonly do: "look" }
  | { readonly do: "post"; readonly perSecond: number; readonly forMs: number }
  | { readonly do: "stop" };

/** `changedMs`: when the last dispatch came or went, of all agents. */
export type Look = { readonly held: number; readonly changedMs: number; readonly waiting: number };
export type Answer = { readonly look: Look; readonly posted: number } | { readonly error: string };

const START_AT_ONCE = 50;
const BEAT_MS = 20;

const agents: SimAgent[] = [];
let next = 0;

function look(): Look {
  return {
    held: agents.reduce((sum, agent) => sum + agent.held, 0),
    changedMs: agents.reduce((last, agent) => Math.max(last, agent.changedMs), 0),
    waiting: agents.reduce((sum, agent) => sum + agent.waiting, 0),
  };
}

async function start({ etcd, from, to, sessionTtlMs }: Extract<Ask, { do: "start" }>): Promise<void> {
  for (let at = from; at < to; at += START_AT_ONCE) {
    const some = Array.from({ length: Math.min(START_AT_ONCE, to - at) }, (_, i) => at + i);
    const options = (i: number) => ({ etcd, nodeId: `sim-${i}`, labels: { slot: `s${i}` }, sessionTtlMs });
    agents.push(...(await Promise.all(some.map((i) => startSimAgent({ clock: systemClock, random: systemRandom }, options(i))))));
  }
}

/** Evenly over time and over the agents. */
async function post({ perSecond, forMs }: Extract<Ask, { do: "post" }>): Promise<number> {
  const begun = systemClock.mono();
  let posted = 0;
  for (let passed = 0; passed < forMs; passed = systemClock.mono() - begun) {
    const due = Math.floor((Math.min(passed, forMs) * perSecond) / 1000);
    for (; posted < due; posted++) agents[next++ % agents.length]?.post();
    await systemClock.sleep(BEAT_MS);
  }
  return posted;
}

async function carryOut(ask: Ask): Promise<number> {
  if (ask.do === "start") await start(ask);
  if (ask.do === "post") return post(ask);
  if (ask.do === "stop") await Promise.all(agents.map((agent) => agent.close()));
  return 0;
}

process.on("message", (ask: Ask) => {
  carryOut(ask).then(
    (posted) => process.send?.({ look: look(), posted } satisfies Answer),
    (error: unknown) => process.send?.({ error: String(error) } satisfies Answer),
  );
});
process.once("disconnect", () => process.exit(0));
