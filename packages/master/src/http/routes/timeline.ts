/** /jobs/…/verdicts and /forecast: what became of due ticks, and what is to come. */
import { findJob } from "../../ops/find.ts";
import { forecast } from "../../ops/forecast.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { verdicts } from "../../ops/verdicts.ts";
import { JobParams } from "../api-schema.ts";
import type { App } from "../app.ts";
import * as Api from "../timeline-schema.ts";

export function addTimelineRoutes(app: App, deps: OpsDeps): void {
  app.get(
    "/jobs/:group/:id/verdicts",
    { schema: { params: JobParams, querystring: Api.VerdictsQuery, response: { 200: Api.VerdictsResult } } },
    async (request) => verdicts(deps, await findJob(deps, request.params), request.query),
  );
  app.get("/forecast", { schema: { querystring: Api.ForecastQuery, response: { 200: Api.ForecastResult } } }, (request) =>
    forecast(deps, request.query),
  );
}
