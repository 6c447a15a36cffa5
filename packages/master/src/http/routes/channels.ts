/** /channels: list, show, put, delete, test; /deliveries: list, retry. */
import { deleteChannel, listChannels, putChannel, showChannel } from "../../ops/channels.ts";
import { listDeliveries, retryDelivery } from "../../ops/deliveries.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { testChannel } from "../../ops/test-channel.ts";
import { Deleted, IfMatchHeaders, IfNoneMatchHeaders } from "../api-schema.ts";
import * as Api from "../api-schema-channels.ts";
import { type App, callerOf } from "../app.ts";
import { ifMatch, withTag } from "../conditions.ts";
import { onceOf } from "../idempotency.ts";

export function addChannelRoutes(app: App, deps: OpsDeps): void {
  const one = { params: Api.ChannelParams };
  app.get("/channels", { schema: { querystring: Api.ChannelListQuery, response: { 200: Api.ChannelPage } } }, (request) =>
    listChannels(deps, request.query),
  );
  app.get(
    "/channels/:name",
    { schema: { ...one, headers: IfNoneMatchHeaders, response: { 200: Api.ChannelView } } },
    async (request, reply) => withTag(reply, await showChannel(deps, request.params.name)),
  );
  app.put(
    "/channels/:name",
    { schema: { ...one, headers: IfMatchHeaders, body: Api.ChannelPutBody, response: { 200: Api.ChannelView } } },
    async (request, reply) =>
      withTag(reply, await putChannel(deps, request.params.name, request.body.spec, ifMatch(request.headers["if-match"]))),
  );
  app.delete("/channels/:name", { schema: { ...one, headers: IfMatchHeaders, response: { 200: Deleted } } }, async (request) => ({
    deleted: await deleteChannel(deps, request.params.name, ifMatch(request.headers["if-match"])),
  }));
  app.post("/channels/:name/test", { schema: { ...one, response: { 200: Api.ChannelTest } } }, (request) =>
    testChannel(deps, request.params.name, callerOf(request), onceOf(request)),
  );
  app.get("/deliveries", { schema: { querystring: Api.DeliveryListQuery, response: { 200: Api.DeliveryPage } } }, (request) =>
    listDeliveries(deps, request.query),
  );
  app.post("/deliveries/:delivery/retry", { schema: { params: Api.DeliveryParams, response: { 200: Api.DeliveryView } } }, (request) =>
    retryDelivery(deps, request.params.delivery),
  );
}
