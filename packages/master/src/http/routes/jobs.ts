/** /jobs: list, show, put, delete, run, pause, resume, reset, next, why; and /apply. */
import { z } from "zod";
import { applyFiles } from "../../ops/apply-files.ts";
import { deleteJob } from "../../ops/delete-job.ts";
import { findJob } from "../../ops/find.ts";
import { jobView, jobViewWithAcks } from "../../ops/job-view.ts";
import { listJobs } from "../../ops/list-jobs.ts";
import { nextTicks } from "../../ops/next-ticks.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { pauseJob } from "../../ops/pause-job.ts";
import { putJob } from "../../ops/put-job.ts";
import { resetJob } from "../../ops/reset-job.ts";
import { runJob } from "../../ops/run-job.ts";
import { why } from "../../ops/why.ts";
import * as Api from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { ifMatch, withTag } from "../conditions.ts";
import { onceOf } from "../idempotency.ts";

export function addJobRoutes(app: App, deps: OpsDeps): void {
  app.get("/jobs", { schema: { querystring: Api.JobListQuery, response: { 200: Api.JobPage } } }, (request) => {
    const { items, ...rest } = listJobs(deps, request.query);
    return { ...rest, items: items.map((entry) => jobView(deps, entry)) };
  });

  app.get(
    "/jobs/:group/:id",
    { schema: { params: Api.JobParams, headers: Api.IfNoneMatchHeaders, response: { 200: Api.JobView } } },
    async (request, reply) => withTag(reply, await jobViewWithAcks(deps, await findJob(deps, request.params))),
  );

  app.put(
    "/jobs/:group/:id",
    {
      schema: {
        params: Api.JobParams,
        headers: Api.IfMatchHeaders,
        body: Api.JobPutBody,
        response: { 200: Api.JobView, 201: Api.JobView },
      },
    },
    async (request, reply) => {
      const { entry, created } = await putJob(deps, request.params, request.body.spec, ifMatch(request.headers["if-match"]));
      return reply.code(created ? 201 : 200).send(withTag(reply, jobView(deps, entry)));
    },
  );

  app.delete(
    "/jobs/:group/:id",
    { schema: { params: Api.JobParams, querystring: Api.JobDeleteQuery, headers: Api.IfMatchHeaders, response: { 200: Api.Deleted } } },
    async (request) => ({
      deleted: await deleteJob(deps, request.params, { ifRevision: ifMatch(request.headers["if-match"]), force: request.query.force }),
    }),
  );

  app.post(
    "/jobs/:group/:id/run",
    { schema: { params: Api.JobParams, body: orEmpty(Api.RunBody), response: { 200: Api.RunResult } } },
    (request) => runJob(deps, request.params, request.body, callerOf(request), onceOf(request)),
  );

  app.post("/jobs/:group/:id/pause", { schema: { params: Api.JobParams, response: { 200: Api.JobView } } }, async (request) =>
    jobViewWithAcks(deps, await pauseJob(deps, request.params, true)),
  );

  app.post("/jobs/:group/:id/resume", { schema: { params: Api.JobParams, response: { 200: Api.JobView } } }, async (request) =>
    jobViewWithAcks(deps, await pauseJob(deps, request.params, false)),
  );

  app.post(
    "/jobs/:group/:id/reset",
    { schema: { params: Api.JobParams, body: orEmpty(Api.ResetBody), response: { 200: Api.ResetResult } } },
    (request) => resetJob(deps, request.params, request.body.node, callerOf(request)),
  );

  app.get(
    "/jobs/:group/:id/next",
    { schema: { params: Api.JobParams, querystring: Api.NextQuery, response: { 200: Api.NextResult } } },
    async (request) => nextTicks(deps, await findJob(deps, request.params), request.query),
  );

  app.get(
    "/jobs/:group/:id/why",
    { schema: { params: Api.JobParams, querystring: Api.WhyQuery, response: { 200: Api.WhyResult } } },
    async (request) => why(deps, await findJob(deps, request.params), request.query.at),
  );

  app.post("/apply", { bodyLimit: Api.APPLY_BODY_LIMIT, schema: { body: Api.ApplyBody, response: { 200: Api.ApplyResult } } }, (request) =>
    applyFiles(deps, request.body),
  );
}

/** A POST without a body means an empty one. */
export function orEmpty<T extends z.ZodType>(schema: T) {
  return z.preprocess((body) => body ?? {}, schema);
}
