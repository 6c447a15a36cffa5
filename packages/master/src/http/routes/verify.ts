/** /verify: whether everything that was due has happened, once and in time. */
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { verify } from "../../ops/verify.ts";
import type { App } from "../app.ts";
import { VerifyQuery, VerifyResult } from "../verify-schema.ts";

export function addVerifyRoute(app: App, deps: OpsDeps): void {
  app.get("/verify", { schema: { querystring: VerifyQuery, response: { 200: VerifyResult } } }, (request) => verify(deps, request.query));
}
