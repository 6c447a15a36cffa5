/** /secrets: list, put boxes, delete. There is no way to read a box. */
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { pageByKey } from "../../ops/page.ts";
import { deleteSecret, listSecrets, putSecret } from "../../ops/secrets.ts";
import { APPLY_BODY_LIMIT, Deleted } from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { SecretBody, SecretListQuery, SecretPage, SecretParams, SecretView } from "../secret-schema.ts";

export function addSecretRoutes(app: App, deps: OpsDeps): void {
  app.get("/secrets", { schema: { querystring: SecretListQuery, response: { 200: SecretPage } } }, async (request) =>
    pageByKey(
      (await listSecrets(deps)).filter(({ group }) => request.query.group === undefined || group === request.query.group),
      ({ group, name }) => `${group}/${name}`,
      request.query,
    ),
  );

  app.put(
    "/secrets/:group/:name",
    { bodyLimit: APPLY_BODY_LIMIT, schema: { params: SecretParams, body: SecretBody, response: { 200: SecretView } } },
    (request) => putSecret(deps, request.params, request.body, callerOf(request)),
  );

  app.delete("/secrets/:group/:name", { schema: { params: SecretParams, response: { 200: Deleted } } }, async (request) => ({
    deleted: await deleteSecret(deps, request.params),
  }));
}
