/** /globals: list, set, remove. */
import { removeGlobal, setGlobal } from "../../ops/edit-global.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { pageByKey } from "../../ops/page.ts";
import type { GlobalEntry } from "../../views.ts";
import { Deleted } from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import * as Api from "../global-schema.ts";

export function addGlobalRoutes(app: App, deps: OpsDeps): void {
  app.get("/globals", { schema: { querystring: Api.GlobalListQuery, response: { 200: Api.GlobalPage } } }, (request) => {
    const entries = [...deps.views.globals.entries()].map(([, entry]) => entry);
    const { items, ...rest } = pageByKey(entries, ({ name }) => name, request.query);
    return { ...rest, items: items.map(globalView) };
  });

  app.put(
    "/globals/:name",
    { schema: { params: Api.GlobalParams, body: Api.GlobalBody, response: { 200: Api.GlobalView } } },
    async (request) => globalView(await setGlobal(deps, request.params.name, request.body.value, callerOf(request))),
  );

  app.delete("/globals/:name", { schema: { params: Api.GlobalParams, response: { 200: Deleted } } }, async (request) => ({
    deleted: await removeGlobal(deps, request.params.name),
  }));
}

function globalView({ v: _, ...view }: GlobalEntry): Api.GlobalView {
  return view;
}
