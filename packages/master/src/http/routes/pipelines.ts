/** /pipelines and their runs, and the one route that takes a task's update token instead of an access token. */
import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "fleetcron-shared/base/errors";
import { taskOf } from "fleetcron-shared/model/pipeline/run-document";
import { askRun } from "../../ops/ask-run.ts";
import { findRun, listRuns } from "../../ops/find-run.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { deletePipeline, findPipeline, listPipelines, pipelineView, putPipeline } from "../../ops/pipelines.ts";
import { dryRunPipeline, runPipeline } from "../../ops/run-pipeline.ts";
import { triggerViews } from "../../ops/trigger-views.ts";
import { Deleted, IfMatchHeaders } from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { authenticate, bearerOf } from "../auth.ts";
import * as Api from "../pipeline-schema.ts";
import { ifMatch, orEmpty } from "./jobs.ts";

export function addPipelineRoutes(app: App, deps: OpsDeps): void {
  const one = { params: Api.PipelineParams };
  app.get("/pipelines", { schema: { querystring: Api.PipelineListQuery, response: { 200: Api.PipelinePage } } }, async (request) =>
    listPipelines(deps, request.query),
  );
  app.get("/pipelines/:group/:id", { schema: { ...one, response: { 200: Api.PipelineView } } }, async (request, reply) => {
    const entry = await findPipeline(deps, request.params);
    const triggers = triggerViews(entry.stored, { nowMs: deps.clock.now(), timezone: deps.timetable.timezone });
    const view = { ...pipelineView(entry), triggers };
    return reply.header("etag", `"${view.revision}"`).send(view);
  });
  app.put(
    "/pipelines/:group/:id",
    { schema: { ...one, headers: IfMatchHeaders, body: Api.PipelinePutBody, response: { 200: Api.PipelineView } } },
    (request) => putPipeline(deps, request.params, request.body.spec, ifMatch(request.headers["if-match"])),
  );
  app.delete("/pipelines/:group/:id", { schema: { ...one, response: { 200: Deleted } } }, async (request) => ({
    deleted: await deletePipeline(deps, request.params),
  }));
  app.post("/pipelines/:group/:id/run", { schema: { ...one, body: orEmpty(Api.PipelineRunBody) } }, (request) => {
    const { dryRun, params, labels } = request.body;
    const wish = { params, labels, trigger: "manual", by: callerOf(request) };
    return dryRun ? dryRunPipeline(deps, request.params, wish) : runPipeline(deps, request.params, wish);
  });

  const run = { params: Api.PipelineRunParams, querystring: Api.PipelineHintQuery };
  const answer = { response: { 200: Api.PipelineRunView } };
  app.get("/runs", { schema: { querystring: Api.PipelineRunListQuery, response: { 200: Api.PipelineRunPage } } }, (request) =>
    listRuns(deps, request.query),
  );
  app.get(
    "/runs/:run",
    { schema: { ...run, ...answer } },
    async (request) => (await findRun(deps, request.params.run, request.query.pipeline)).view,
  );
  app.post("/runs/:run/cancel", { schema: { ...run, body: orEmpty(Api.CancelBody), ...answer } }, (request) =>
    askRun(deps, request.params.run, request.query.pipeline, { type: "cancel", by: callerOf(request), reason: request.body.reason }),
  );
  app.post("/runs/:run/rerun", { schema: { ...run, body: orEmpty(Api.RerunBody), ...answer } }, (request) =>
    askRun(deps, request.params.run, request.query.pipeline, { type: "rerun", by: callerOf(request), from: request.body.from }),
  );

  const decisions = { approve: ["audit", "yes"], deny: ["audit", "no"], confirm: ["confirm", "yes"], reject: ["confirm", "no"] } as const;
  for (const [word, [kind, verdict]] of Object.entries(decisions)) {
    app.post(
      `/runs/:run/tasks/:task/${word}`,
      { schema: { params: Api.PipelineTaskParams, querystring: Api.PipelineHintQuery, body: orEmpty(Api.DecisionBody), ...answer } },
      (request) => {
        const { task } = request.params;
        const { comment } = request.body;
        return askRun(deps, request.params.run, request.query.pipeline, {
          type: "decide",
          kind,
          verdict,
          task,
          by: callerOf(request),
          comment,
        });
      },
    );
  }
}

/** Registered outside of the authentication by access tokens: commands that run for a task know its update token only. */
export function addTaskStatusRoute(app: App, deps: OpsDeps): void {
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
      const by = force ? authenticate(deps.views.tokens, request) : undefined;
      const found = await findRun(deps, id, request.query.pipeline).catch((error: unknown) => {
        // Who has no token of the run is not told which runs there are.
        throw force ? error : new AppError("auth/denied", DENIED);
      });
      if (by !== undefined) {
        const words = message === "" ? `set to ${state} by ${by.id}` : `${message} (by ${by.id})`;
        return askRun(deps, id, undefined, { type: "status", task, attempt: undefined, state, message: words });
      }
      const held = Object.hasOwn(found.run.tasks, task) ? taskOf(found.run, task) : undefined;
      const known = Buffer.from(held?.tokenHash ?? "", "hex");
      const given = createHash("sha256").update(token).digest();
      if (held === undefined || known.length !== given.length || !timingSafeEqual(known, given)) throw new AppError("auth/denied", DENIED);
      return askRun(deps, id, `${found.ref.group}/${found.ref.id}`, { type: "status", task, attempt: held.attempt, state, message });
    },
  );
}

const DENIED = "the token is not the update token of this attempt of the task";
