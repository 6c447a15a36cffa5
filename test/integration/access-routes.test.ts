/** The table of access (http/access-table.ts) and the routes that there are: none is forgotten, none is left over, and the server goes by the table. */
import test from "ava";
import { ACCESS } from "fleetcron/http/access-table";
import { API_BASE } from "fleetcron/http/api-schema";
import { createServer, type ServerDeps } from "fleetcron/http/server";
import { openViews } from "fleetcron/views";
import { systemClock } from "fleetcron-shared/base/clock";
import { createLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";

/** Outside of the API: they say whether the master is well, and nothing of the fleet but numbers. */
const OUTSIDE = ["/healthz", "/readyz", "/metrics", "/", "/favicon.ico", "/console/*"];

/** Every route of the app, as `METHOD url`. */
async function routesOfApp(): Promise<string[]> {
  const routes: string[] = [];
  const kv = createMemoryStore({ clock: systemClock }).connect();
  const keys = createKeys();
  const log = createLog({ level: "silent", name: "test" });
  const views = openViews({ kv, keys, clock: systemClock, random: systemRandom, log });
  const ops = { kv, keys, clock: systemClock, random: systemRandom, log, views };
  const app = createServer({
    ...{ log, ops, system: { cluster: "01TEST" }, hooks: {}, events: {}, limits: { eventReaders: 1 } },
    access: { times: { maxMs: 1, idleMs: 1 }, tls: undefined },
    onReaders: () => {},
    onRoute: (method: string, url: string) => void routes.push(`${method} ${url}`),
  } as unknown as ServerDeps);
  await app.ready();
  await app.close();
  await views.close();
  await kv.close();
  return routes;
}

test("every route says which role it needs, and the table names no route that is not there", async (t) => {
  const routes = (await routesOfApp()).filter((route) => !route.startsWith("HEAD ") && !route.startsWith("OPTIONS "));
  const inside = routes.filter((route) => route.includes(` ${API_BASE}`)).map((route) => route.replace(` ${API_BASE}`, " "));
  t.true(inside.length > 40, "the routes were seen");
  t.deepEqual(
    inside.filter((route) => !Object.hasOwn(ACCESS, route)),
    [],
    "routes without a row in http/access-table.ts",
  );
  t.deepEqual(
    Object.keys(ACCESS).filter((route) => !inside.includes(route)),
    [],
    "rows without a route",
  );
  t.deepEqual(
    routes.filter((route) => !route.includes(` ${API_BASE}`)).filter((route) => !OUTSIDE.some((path) => route.endsWith(` ${path}`))),
    [],
    "what is served outside of the API is public: say so here",
  );
});
