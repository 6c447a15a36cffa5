/** /pipelines and their runs, and the one route that takes a task's update token instead of an access token. */
import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "fleetcron-shared/base/errors";
import { taskOf } from "fleetcron-shared/model/pipeline/run-document";
import { z } from "zod";
import { needRole } from "../../caller.ts";
import { listAllRuns, showRun } from "../../ops/archived-runs.ts";
import { askRun } from "../../ops/ask-run.ts";
import { findRun } from "../../ops/find-run.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { deletePipeline, findPipeline, listPipelines, pipelineView, putPipeline } from "../../ops/pipelines.ts";
import { dryRunPipeline, runPipeline } from "../../ops/run-pipeline.ts";
import { triggerViews } from "../../ops/trigger-views.ts";
import { type Access, bearerOf } from "../access.ts";
import { Deleted, IfMatchHeaders, IfNoneMatchHeaders } from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { ifMatch, withTag } from "../conditions.ts";
import { onceOf } from "../idempotency.ts";
import * as Api from "../pipeline-schema.ts";
import { orEmpty } from "./jobs.ts";

export function addPipelineRoutes(app: App, deps: OpsDeps): void {
  const one = { params: Api.PipelineParams };
  app.get("/pipelines", { schema: { querystring: Api.PipelineListQuery, response: { 200: Api.PipelinePage } } }, async (request) =>
    listPipelines(deps, request.query),
  );
  app.get(
    "/pipelines/:group/:id",
    { schema: { ...one, headers: IfNoneMatchHeaders, response: { 200: Api.PipelineView } } },
    async (request, reply) => {
      const entry = await findPipeline(deps, request.params);
      const triggers = triggerViews(entry.stored, { nowMs: deps.clock.now(), timezone: deps.timetable.timezone });
      return withTag(reply, { ...pipelineView(entry), triggers });
    },
  );
  app.put(
    "/pipelines/:group/:id",
    { schema: { ...one, headers: IfMatchHeaders, body: Api.PipelinePutBody, response: { 200: Api.PipelineView } } },
    async (request, reply) =>
      withTag(reply, await putPipeline(deps, request.params, request.body.spec, ifMatch(request.headers["if-match"]))),
  );
  app.delete("/pipelines/:group/:id", { schema: { ...one, headers: IfMatchHeaders, response: { 200: Deleted } } }, async (request) => ({
    deleted: await deletePipeline(deps, request.params, ifMatch(request.headers["if-match"])),
  }));
  const ran = { 200: z.union([Api.PipelineDryRun, Api.PipelineRunView]) };
  app.post("/pipelines/:group/:id/run", { schema: { ...one, body: orEmpty(Api.PipelineRunBody), response: ran } }, (request) => {
    const { dryRun, params, labels } = request.body;
    const wish = { params, labels, trigger: "manual", by: callerOf(request), once: onceOf(request) };
    return dryRun ? dryRunPipeline(deps, request.params, wish) : runPipeline(deps, request.params, wish);
  });

  const run = { params: Api.PipelineRunParams, querystring: Api.PipelineHintQuery };
  const answer = { response: { 200: Api.PipelineRunView } };
  app.get("/runs", { schema: { querystring: Api.PipelineRunListQuery, response: { 200: Api.PipelineRunPage } } }, (request) =>
    listAllRuns(deps, request.query),
  );
  app.get("/runs/:run", { schema: { ...run, ...answer } }, (request) => showRun(deps, request.params.run, request.query.pipeline));
  app.post("/runs/:run/cancel", { schema: { ...run, body: orEmpty(Api.CancelBody), ...answer } }, (request) =>
    askRun(
      deps,
      request.params.run,
      request.query.pipeline,
      { type: "cancel", by: callerOf(request), reason: request.body.reason },
      onceOf(request),
    ),
  );
  app.post("/runs/:run/rerun", { schema: { ...run, body: orEmpty(Api.RerunBody), ...answer } }, (request) =>
    askRun(
      deps,
      request.params.run,
      request.query.pipeline,
      { type: "rerun", by: callerOf(request), from: request.body.from },
      onceOf(request),
    ),
  );

  const decisions = { approve: ["audit", "yes"], deny: ["audit", "no"], confirm: ["confirm", "yes"], reject: ["confirm", "no"] } as const;
  for (const [word, [kind, verdict]] of Object.entries(decisions)) {
    app.post(
      `/runs/:run/tasks/:task/${word}`,
      { schema: { params: Api.PipelineTaskParams, querystring: Api.PipelineHintQuery, body: orEmpty(Api.DecisionBody), ...answer } },
      (request) => {
        const { task } = request.params;
        const { comment } = request.body;
        const event = { type: "decide", kind, verdict, task, by: callerOf(request), comment } as const;
        return askRun(deps, request.params.run, request.query.pipeline, event, onceOf(request));
      },
    );
  }
}

/** Registered outside of the authentication by access tokens: commands that run for a task know its update token only. */
export function addTaskStatusRoute(app: App, deps: OpsDeps, access: Access): void {
  app.put(
    "/runs/:run/tasks/:task/status",
    {
      schema: {
        params: Api.PipelineTaskParams,
        querystring: Api.PipelineHintQuery,
        body: Api.TaskStatusBody,
        response: { 200: Api.PipelineRunView },
      },
    },
    async (request) => {
      const { run: id, task } = request.params;
      const { state, message, force } = request.body;
      const token = bearerOf(request);
      if (force) {
        const caller = await access.caller(request);
        needRole(caller, "operator", "reporting for a task without its update token");
        const words = message === "" ? `set to ${state} by ${caller.name}` : `${message} (by ${caller.name})`;
        const event = { type: "status", task, attempt: undefined, state, message: words } as const;
        return access.run(access.asking(request, caller), () => askRun(deps, id, request.query.pipeline, event));
      }
      if (token === undefined)
        throw new AppError("auth/missing", "the request carries no update token", { hint: "send `Authorization: Bearer TOKEN`" });
      const found = await findRun(deps, id, request.query.pipeline).catch(() => {
        // Who has no token of the run is not told which runs there are.
        throw new AppError("auth/denied", DENIED);
      });
      const held = Object.hasOwn(found.run.tasks, task) ? taskOf(found.run, task) : undefined;
      const known = Buffer.from(held?.tokenHash ?? "", "hex");
      const given = createHash("sha256").update(token).digest();
      if (held === undefined || known.length !== given.length || !timingSafeEqual(known, given)) throw new AppError("auth/denied", DENIED);
      return askRun(deps, id, `${found.ref.group}/${found.ref.id}`, { type: "status", task, attempt: held.attempt, state, message });
    },
  );
}

const DENIED = "the token is not the update token of this attempt of the task";
