/** /records, /procs and /executions: what has run, what runs now, and ending it. */
import { findRecord } from "../../ops/find-records.ts";
import { killExecution } from "../../ops/kill-execution.ts";
import { findExecution, listExecutions, procsOf, procView } from "../../ops/list-executions.ts";
import { listRecords } from "../../ops/list-records.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { pageByKey } from "../../ops/page.ts";
import * as Api from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import { orEmpty } from "./jobs.ts";

export function addRunRoutes(app: App, deps: OpsDeps): void {
  app.get("/records", { schema: { querystring: Api.RecordListQuery, response: { 200: Api.RecordPage } } }, (request) =>
    listRecords(deps, request.query),
  );

  app.get(
    "/records/:record",
    { schema: { params: Api.RecordParams, querystring: Api.JobHintQuery, response: { 200: Api.RecordView } } },
    (request) => findRecord(deps, request.params.record, request.query.job),
  );

  app.get("/procs", { schema: { querystring: Api.ProcListQuery, response: { 200: Api.ProcPage } } }, (request) => {
    const { items, ...rest } = pageByKey(procsOf(deps, request.query), ({ proc, node }) => `${proc.execution}@${node}`, request.query);
    return { ...rest, items: items.map(procView) };
  });

  app.get("/executions", { schema: { querystring: Api.ExecutionListQuery, response: { 200: Api.ExecutionPage } } }, (request) =>
    listExecutions(deps, request.query),
  );

  app.get(
    "/executions/:execution",
    { schema: { params: Api.ExecutionParams, querystring: Api.JobHintQuery, response: { 200: Api.ExecutionDetail } } },
    (request) => findExecution(deps, request.params.execution, request.query.job),
  );

  app.post(
    "/executions/:execution/kill",
    { schema: { params: Api.ExecutionParams, body: orEmpty(Api.KillBody), response: { 200: Api.KillResult } } },
    (request) => killExecution(deps, request.params.execution, request.body.reason, callerOf(request)),
  );
}
