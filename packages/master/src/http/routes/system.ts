/** /info, and outside of the API's base and without a token: /healthz (the process answers) and /readyz (it can do its work). */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Kv } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Archive } from "../../history/archive.ts";
import type { Views } from "../../views.ts";
import * as Api from "../api-schema.ts";
import type { App } from "../app.ts";

export type SystemDeps = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly views: Views;
  readonly version: string;
  readonly cluster: string;
  readonly timezone: string;
  readonly master: string;
  readonly etcdEndpoints: readonly string[];
  /** Undefined: off. */
  readonly archive?: Archive | undefined;
  isLeading(): boolean;
  /** False until the start is complete. */
  hasStarted(): boolean;
};

export function addInfoRoute(app: App, deps: SystemDeps): void {
  app.get("/info", { schema: { response: { 200: Api.Info } } }, async () => {
    const { views } = deps;
    const revision = await etcdRevision(deps);
    return {
      version: deps.version,
      cluster: deps.cluster,
      timezone: deps.timezone,
      master: deps.master,
      leader: views.leader.get(deps.keys.leader) ?? null,
      leading: deps.isLeading(),
      etcd: { endpoints: [...deps.etcdEndpoints], reachable: revision !== undefined, revision: revision ?? views.jobs.revision() },
      history: (await deps.archive?.status()) ?? { kind: "off" as const },
      counts: { jobs: views.jobs.size, nodes: views.nodes.size, online: views.alive.size, running: views.procs.size },
    };
  });
}

type HealthDeps = Pick<SystemDeps, "kv" | "keys" | "views" | "isLeading" | "hasStarted" | "archive"> & {
  readonly clock: Pick<Clock, "mono">;
};

export function addHealthRoutes(app: App, deps: HealthDeps): void {
  app.get("/healthz", { schema: { response: { 200: Api.Health } } }, () => ({ status: "ok" as const, reasons: [], notes: [] }));

  app.get("/readyz", { schema: { response: { 200: Api.Health, 503: Api.Health } } }, async (_, reply) => {
    const begunMs = deps.clock.mono();
    const isReachable = (await etcdRevision(deps)) !== undefined;
    const tookMs = Math.round(deps.clock.mono() - begunMs);
    const stale = deps.views.unready();
    const reasons = [
      ...(deps.hasStarted() ? [] : ["still starting"]),
      ...(isReachable ? [] : ["etcd does not answer"]),
      ...(stale.length === 0 ? [] : [`not following etcd: ${stale.join(", ")}`]),
    ];
    const leader = deps.views.leader.get(deps.keys.leader)?.master;
    const trouble = deps.archive?.trouble();
    const notes = [
      ...(deps.isLeading() ? [] : [leader === undefined ? "no master leads" : `this master does not lead: ${leader} does`]),
      // Without its history a master works all the same.
      ...(trouble === undefined ? [] : [trouble]),
      ...(isReachable && tookMs > SLOW_MS ? [`etcd took ${tookMs} ms to answer`] : []),
    ];
    return reply.code(reasons.length === 0 ? 200 : 503).send({ status: reasons.length === 0 ? "ok" : "unavailable", reasons, notes });
  });
}

/** An etcd that needs longer for a key is said to be slow. */
const SLOW_MS = 500;

/** Undefined when etcd does not answer. */
export async function etcdRevision(deps: { kv: Kv; keys: Keys }): Promise<number | undefined> {
  try {
    const { revision } = await deps.kv.range({ start: deps.keys.meta, end: `${deps.keys.meta}\0`, countOnly: true });
    return revision;
  } catch {
    return undefined;
  }
}
