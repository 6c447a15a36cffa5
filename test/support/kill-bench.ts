/** Two real masters that die at named points (packages/master/src/kill-points.ts), a real agent, a real etcd, and a server that notifications are sent to. */
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import type { Info } from "fleetcron/http/api-schema";
import type { PipelineRunView } from "fleetcron/http/pipeline-schema";
import type { KillPoint } from "fleetcron/kill-points";
import { systemClock } from "fleetcron-shared/base/clock";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import type { Kv } from "fleetcron-shared/store/kv";
import { createKeys, type Keys } from "fleetcron-shared/wire/keys";
import { startAgentProcess } from "./agent.ts";
import type { EtcdServer } from "./etcd.ts";
import { eventually } from "./fleet.ts";
import { type Answer, type MasterProcess, startMasterProcess } from "./master.ts";
import { isAlive, processState, tempFolder, textOf, until } from "./processes.ts";
import { type HttpTarget, startHttpTarget } from "./targets.ts";

export type KillBench = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly target: HttpTarget;
  /** Asks the leader first, and whoever lives until somebody answers; a POST always under one key. */
  ask<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  apply(pipelines: Readonly<Record<string, PipelineSpec>>): Promise<void>;
  /** Does `act`, in which whoever leads dies at `point`; resolves when another leads, with what `act` resolves with. */
  dieAt<T>(point: KillPoint, act: () => Promise<T>): Promise<T>;
  /** The same, but the leader only freezes there, and goes on, believing to lead, when another does; resolves when it has noticed. */
  freezeAt<T>(point: KillPoint, act: () => Promise<T>): Promise<T>;
  /** The leader freezes at `point`, and so does the next one; the first wakes up alone. Resolves with what `look` saw before and after it has noticed. */
  freezeBothAt<T>(point: KillPoint, act: () => Promise<unknown>, look: () => Promise<T>): Promise<readonly [T, T]>;
  /** Resolves with the run once it is as it is waited for. */
  run(id: string, what: string, holds: (run: PipelineRunView) => boolean): Promise<PipelineRunView>;
  /** The script of a task: it leaves a line each time it starts, then `body`. */
  script(body?: string): string;
  /** What has started in a run (`*`: in all), in order. */
  starts(run: string): string[];
  file(name: string): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** How long a dead leader's session lives. */
const TTL = "2s";

export async function startKillBench(etcd: EtcdServer, prefix: string): Promise<KillBench> {
  const temp = tempFolder();
  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const keys = createKeys(prefix);
  const target = await startHttpTarget(() => ({ status: 200 }));
  const killAt = temp.file("kill-at");
  const start = (token?: string) =>
    startMasterProcess({
      endpoints: etcd.endpoints,
      args: ["--prefix", prefix, "--session-ttl", TTL, "--notify-allow", "127.0.0.1"],
      env: { FLEETCRON_KILL_AT: killAt },
      ...(token === undefined ? {} : { token }),
    });
  const first = await start();
  const masters: MasterProcess[] = [first, await start(first.token)];
  const agent = await startAgentProcess({ etcd: etcd.endpoints, nodeId: "n1", folder: temp.path, prefix });

  const isAwake = ({ pid }: MasterProcess) => isAlive(pid) && processState(pid) !== "T";
  const living = () => masters.filter(isAwake);
  const leaderName = async () =>
    (
      await living()[0]
        ?.ask<Info>("GET", "/info")
        .catch(() => undefined)
    )?.body.leader?.master;

  async function ask<T>(method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer<T>> {
    const headers = { ...(method === "POST" ? { "idempotency-key": randomUUID() } : {}), ...more };
    let last: unknown;
    const answer = await eventually(`${method} ${path} is answered`, async () => {
      const leader = await leaderName();
      for (const master of living().sort(({ name }) => (name === leader ? -1 : 1))) {
        const one = await master.ask<T>(method, path, body, headers).catch((error: unknown) => {
          last = error;
        });
        if (one !== undefined && one.status < 500) return one;
        last = one?.body ?? last;
      }
      return undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}`);
    });
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer;
  }

  const aLeader = () =>
    eventually("somebody leads", async () => {
      const leader = await leaderName();
      return masters.find((master) => master.name === leader && isAwake(master));
    });
  const another = (point: KillPoint, name: string) =>
    eventually(`${point}: another leads`, async () => {
      const now = await leaderName();
      return now !== undefined && now !== name;
    });
  /** Begins `act`; resolves once the point is passed, with a way to wait for what it comes to. */
  async function met<T>(at: string, act: () => Promise<T>): Promise<() => Promise<T>> {
    writeFileSync(killAt, at);
    const acted = act();
    await Promise.race([until(`${at} is passed`, () => textOf(killAt) === "", 30_000), acted.then(() => new Promise(() => {}))]);
    return () => acted;
  }

  return {
    kv,
    keys,
    target,
    ask,
    async apply(pipelines) {
      const channels = { hook: { webhook: { url: target.url }, atMostEvery: "1s" } };
      await ask("POST", "/apply", { files: [{ name: "p.json", text: JSON.stringify({ channels, pipelines }) }] });
    },
    async freezeAt(point, act) {
      const leader = await aLeader();
      const acted = await met(`${point} SIGSTOP`, act);
      await until("the leader is frozen", () => processState(leader.pid) === "T");
      await another(point, leader.name);
      process.kill(leader.pid, "SIGCONT");
      const done = await acted();
      await eventually("it knows", async () => (await leader.ask<Info>("GET", "/info")).body.leading === false);
      return done;
    },
    async freezeBothAt(point, act, look) {
      const leader = await aLeader();
      const acted = await met(`${point} SIGSTOP`, act);
      await until("the leader is frozen", () => processState(leader.pid) === "T");
      const next = masters.find((master) => master !== leader)!;
      await met(`${point} SIGSTOP`, () => new Promise(() => {}));
      await until("the next one is frozen", () => processState(next.pid) === "T");
      const before = await look();
      process.kill(leader.pid, "SIGCONT");
      await eventually("it knows", async () => (await leader.ask<Info>("GET", "/info")).body.leading === false);
      const after = await look();
      process.kill(next.pid, "SIGCONT");
      await acted();
      return [before, after] as const;
    },
    async dieAt(point, act) {
      const leader = await aLeader();
      const acted = await met(point, act);
      await until("the leader is dead", () => !isAlive(leader.pid));
      const next = start(first.token);
      next.catch(() => {});
      const done = await acted();
      await another(point, leader.name);
      await leader.kill();
      masters.splice(masters.indexOf(leader), 1, await next);
      return done;
    },
    run(id, what, holds) {
      let last: unknown;
      return eventually(`${id}: ${what}`, async () => {
        const { body } = await ask<PipelineRunView>("GET", `/runs/${id}`);
        last = body;
        return holds(body) && body;
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${JSON.stringify(last)}\n${living().map((master) => master.log().slice(-3000))}`);
      });
    },
    script: (body = "") => `echo "$FLEETCRON_RUN $FLEETCRON_TASK" >> ${temp.file("starts")}\n${body}`,
    starts: (run) =>
      textOf(temp.file("starts"))
        .split("\n")
        .filter((line) => run === "*" || line.startsWith(`${run} `))
        .flatMap((line) => line.split(" ")[1] ?? []),
    file: (name) => temp.file(name),
    async [Symbol.asyncDispose]() {
      rmSync(killAt, { force: true });
      await agent[Symbol.asyncDispose]();
      await Promise.all(masters.map((master) => master.kill()));
      await Promise.all([target[Symbol.asyncDispose](), kv.close()]);
      temp[Symbol.dispose]();
    },
  };
}
