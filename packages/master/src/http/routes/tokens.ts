/** /tokens: list, make, revoke; /audit: list. */
import { listAudit } from "../../ops/audit.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { createToken, listTokens, revokeToken } from "../../ops/tokens.ts";
import * as Api from "../access-schema.ts";
import { type App, callerOf } from "../app.ts";

export function addTokenRoutes(app: App, deps: OpsDeps): void {
  app.get("/tokens", { schema: { querystring: Api.PlainListQuery, response: { 200: Api.TokenPage } } }, (request) =>
    listTokens(deps, request.query),
  );
  app.post("/tokens", { schema: { body: Api.TokenBody, response: { 201: Api.TokenMade } } }, async (request, reply) => {
    // What is kept for an Idempotency-Key is kept in etcd, where no token may be.
    request.claim = null;
    return reply.code(201).send(await createToken(deps, request.body, callerOf(request)));
  });
  app.delete("/tokens/:token", { schema: { params: Api.TokenParams, response: { 200: Api.TokenView } } }, (request) =>
    revokeToken(deps, request.params.token, callerOf(request)),
  );
  app.get("/audit", { schema: { querystring: Api.AuditListQuery, response: { 200: Api.AuditPage } } }, (request) =>
    listAudit(deps, request.query),
  );
}
