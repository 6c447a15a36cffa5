/** /globals: list, set, remove. */
import { findGlobal, removeGlobal, setGlobal } from "../../ops/edit-global.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { pageByKey } from "../../ops/page.ts";
import type { GlobalEntry } from "../../views.ts";
import { Deleted, IfMatchHeaders, IfNoneMatchHeaders } from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { ifMatch, withTag } from "../conditions.ts";
import * as Api from "../global-schema.ts";

export function addGlobalRoutes(app: App, deps: OpsDeps): void {
  app.get("/globals", { schema: { querystring: Api.GlobalListQuery, response: { 200: Api.GlobalPage } } }, (request) => {
    const entries = [...deps.views.globals.entries()].map(([, entry]) => entry);
    const { items, ...rest } = pageByKey(entries, ({ name }) => name, request.query);
    return { ...rest, items: items.map(globalView) };
  });

  app.get(
    "/globals/:name",
    { schema: { params: Api.GlobalParams, headers: IfNoneMatchHeaders, response: { 200: Api.GlobalView } } },
    async (request, reply) => withTag(reply, globalView(await findGlobal(deps, request.params.name))),
  );

  app.put(
    "/globals/:name",
    { schema: { params: Api.GlobalParams, headers: IfMatchHeaders, body: Api.GlobalBody, response: { 200: Api.GlobalView } } },
    async (request, reply) => {
      const { name } = request.params;
      const entry = await setGlobal(deps, name, request.body.value, callerOf(request), ifMatch(request.headers["if-match"]));
      return withTag(reply, globalView(entry));
    },
  );

  app.delete(
    "/globals/:name",
    { schema: { params: Api.GlobalParams, headers: IfMatchHeaders, response: { 200: Deleted } } },
    async (request) => ({
      deleted: await removeGlobal(deps, request.params.name, ifMatch(request.headers["if-match"])),
    }),
  );
}

function globalView({ v: _, ...view }: GlobalEntry): Api.GlobalView {
  return view;
}
