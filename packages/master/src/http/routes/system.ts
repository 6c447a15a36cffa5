/** /info, and outside of the API's base and without a token: /healthz (the process answers) and /readyz (it can do its work). */
import type { Kv } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
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
      counts: { jobs: views.jobs.size, nodes: views.nodes.size, online: views.alive.size, running: views.procs.size },
    };
  });
}

export function addHealthRoutes(app: App, deps: Pick<SystemDeps, "kv" | "keys" | "views" | "hasStarted">): void {
  app.get("/healthz", { schema: { response: { 200: Api.Health } } }, () => ({ status: "ok" as const, reasons: [] }));

  app.get("/readyz", { schema: { response: { 200: Api.Health, 503: Api.Health } } }, async (_, reply) => {
    const stale = deps.views.unready();
    const reasons = [
      ...(deps.hasStarted() ? [] : ["still starting"]),
      ...((await etcdRevision(deps)) === undefined ? ["etcd does not answer"] : []),
      ...(stale.length === 0 ? [] : [`not following etcd: ${stale.join(", ")}`]),
    ];
    return reply.code(reasons.length === 0 ? 200 : 503).send({ status: reasons.length === 0 ? "ok" : "unavailable", reasons });
  });
}

/** Undefined when etcd does not answer. */
async function etcdRevision(deps: { kv: Kv; keys: Keys }): Promise<number | undefined> {
  try {
    const { revision } = await deps.kv.range({ start: deps.keys.meta, end: `${deps.keys.meta}\0`, countOnly: true });
    return revision;
  } catch {
    return undefined;
  }
}
