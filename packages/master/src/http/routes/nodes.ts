/** /nodes: list, show, labels, drain, undrain, forget. */
import { drainNode, labelNode } from "../../ops/edit-node.ts";
import { findNode } from "../../ops/find.ts";
import { forgetNode } from "../../ops/forget-node.ts";
import { hasLabels } from "../../ops/list-jobs.ts";
import { nodeDetail, nodeView } from "../../ops/node-view.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { pageByKey } from "../../ops/page.ts";
import * as Api from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { ifMatch, withTag } from "../conditions.ts";
import * as Nodes from "../node-schema.ts";

export function addNodeRoutes(app: App, deps: OpsDeps): void {
  app.get("/nodes", { schema: { querystring: Nodes.NodeListQuery, response: { 200: Nodes.NodePage } } }, (request) => {
    const entries = [...deps.views.nodes.entries()]
      .map(([, entry]) => entry)
      .filter(({ labels }) => hasLabels(labels, request.query.label));
    const { items, ...rest } = pageByKey(entries, ({ info }) => info.id, request.query);
    return { ...rest, items: items.map((entry) => nodeView(deps, entry)) };
  });

  app.get(
    "/nodes/:node",
    { schema: { params: Api.NodeParams, headers: Api.IfNoneMatchHeaders, response: { 200: Nodes.NodeDetail } } },
    async (request, reply) => withTag(reply, nodeDetail(deps, await findNode(deps, request.params.node))),
  );

  app.patch(
    "/nodes/:node/labels",
    { schema: { params: Api.NodeParams, headers: Api.IfMatchHeaders, body: Nodes.LabelsBody, response: { 200: Nodes.NodeDetail } } },
    async (request, reply) =>
      withTag(reply, nodeDetail(deps, await labelNode(deps, request.params.node, request.body, ifMatch(request.headers["if-match"])))),
  );

  app.post("/nodes/:node/drain", { schema: { params: Api.NodeParams, response: { 200: Nodes.NodeDetail } } }, async (request) =>
    nodeDetail(deps, await drainNode(deps, request.params.node, true, callerOf(request))),
  );

  app.post("/nodes/:node/undrain", { schema: { params: Api.NodeParams, response: { 200: Nodes.NodeDetail } } }, async (request) =>
    nodeDetail(deps, await drainNode(deps, request.params.node, false, callerOf(request))),
  );

  app.delete(
    "/nodes/:node",
    { schema: { params: Api.NodeParams, headers: Api.IfMatchHeaders, response: { 200: Api.Deleted } } },
    async (request) => ({
      deleted: await forgetNode(deps, request.params.node, ifMatch(request.headers["if-match"])),
    }),
  );
}
