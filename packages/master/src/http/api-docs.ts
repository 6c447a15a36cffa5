/**
 * What OpenAPI says of each route beside its schemas: a sentence, the codes that it may answer with beside those that all may, and what comes when it is not JSON.
 * A test goes through all routes of the app and fails for one that is not in here.
 */
import type { ErrorCode } from "fleetcron-shared/base/error-table";

export type RouteDoc = {
  readonly summary: string;
  readonly codes?: readonly ErrorCode[];
  /** The media type of a 200 that is not JSON. */
  readonly gives?: string;
};

const JOB = ["job/not-found"] as const;
const PIPELINE = ["pipeline/not-found"] as const;
const RUN = ["pipeline/no-run", "pipeline/no-task", "pipeline/not-now", "pipeline/decided", "write/conflict", "wait/timeout"] as const;
const NODE = ["node/not-found", "write/conflict"] as const;
const LOG = ["execution/not-found", "log/not-kept", "log/no-answer", "node/not-online"] as const;
const HOOK = ["hook/denied", "hook/secret", "hook/too-many", "pipeline/not-found", "node/none-matching", "write/conflict"] as const;

export const ROUTE_DOCS: Readonly<Record<string, RouteDoc>> = {
  "GET /healthz": { summary: "Whether the process answers" },
  "GET /readyz": { summary: "Whether this master can do its work, and what stands in the way" },
  "GET /metrics": { summary: "Metrics in the text format of Prometheus", gives: "text/plain" },
  "GET /api/v1/openapi.json": { summary: "This document" },
  "GET /api/v1/info": { summary: "The cluster, its leader, and the master that answers" },
  "GET /api/v1/events": {
    summary: "Live changes as server-sent events, resumable by Last-Event-ID or since",
    gives: "text/event-stream",
  },

  "GET /api/v1/jobs": { summary: "List jobs" },
  "GET /api/v1/jobs/:group/:id": { summary: "Show a job", codes: JOB },
  "PUT /api/v1/jobs/:group/:id": { summary: "Create or replace a job", codes: ["write/conflict"] },
  "DELETE /api/v1/jobs/:group/:id": { summary: "Delete a job", codes: ["job/not-found", "job/in-use", "write/conflict"] },
  "POST /api/v1/jobs/:group/:id/run": {
    summary: "Run a job now",
    codes: ["job/not-found", "node/not-found", "node/not-online", "node/none-matching", "write/conflict"],
  },
  "POST /api/v1/jobs/:group/:id/pause": {
    summary: "Pause a job: its ticks pass without a run",
    codes: ["job/not-found", "write/conflict"],
  },
  "POST /api/v1/jobs/:group/:id/resume": { summary: "Let a paused job run again", codes: ["job/not-found", "write/conflict"] },
  "POST /api/v1/jobs/:group/:id/reset": {
    summary: "Let rules that fire once fire again",
    codes: ["job/not-found", "node/not-found", "node/not-online", "node/none-matching"],
  },
  "GET /api/v1/jobs/:group/:id/next": { summary: "The next ticks of a job, by rule", codes: JOB },
  "GET /api/v1/jobs/:group/:id/why": { summary: "Why a job did or did not run at a time", codes: JOB },
  "GET /api/v1/jobs/:group/:id/verdicts": { summary: "What became of each due tick of a job", codes: JOB },
  "GET /api/v1/forecast": { summary: "Expected starts and running processes per minute of the coming hours" },
  "GET /api/v1/verify": {
    summary: "Whether everything that was due has happened, once and in time",
    codes: ["job/not-found", "input/invalid", "input/too-large"],
  },
  "POST /api/v1/apply": {
    summary: "Apply files of jobs, pipelines and channels, all or nothing",
    codes: ["write/conflict", "job/in-use", "channel/in-use", "input/unreadable"],
  },

  "GET /api/v1/pipelines": { summary: "List pipelines" },
  "GET /api/v1/pipelines/:group/:id": { summary: "Show a pipeline", codes: PIPELINE },
  "PUT /api/v1/pipelines/:group/:id": { summary: "Create or replace a pipeline", codes: ["write/conflict"] },
  "DELETE /api/v1/pipelines/:group/:id": { summary: "Delete a pipeline; its runs go on", codes: ["pipeline/not-found", "write/conflict"] },
  "POST /api/v1/pipelines/:group/:id/run": {
    summary: "Run a pipeline, or show what would run",
    codes: ["pipeline/not-found", "job/not-found", "node/none-matching", "write/conflict"],
  },
  "GET /api/v1/runs": { summary: "List runs of pipelines, newest first" },
  "GET /api/v1/runs/:run": { summary: "Show a run with its tasks", codes: ["pipeline/no-run"] },
  "POST /api/v1/runs/:run/cancel": { summary: "Cancel a run", codes: RUN },
  "POST /api/v1/runs/:run/rerun": { summary: "Run again what failed, or from a task on", codes: RUN },
  "POST /api/v1/runs/:run/tasks/:task/approve": { summary: "Let a task begin that waits for it", codes: RUN },
  "POST /api/v1/runs/:run/tasks/:task/deny": { summary: "Do not let a task begin", codes: RUN },
  "POST /api/v1/runs/:run/tasks/:task/confirm": { summary: "Accept the result of a task", codes: RUN },
  "POST /api/v1/runs/:run/tasks/:task/reject": { summary: "Refuse the result of a task", codes: RUN },
  "PUT /api/v1/runs/:run/tasks/:task/status": {
    summary: "Set the state of a task, with its update token or (force) as an operator",
    codes: RUN,
  },
  "POST /api/v1/hooks/:group/:pipeline/:trigger": { summary: "Deliver a webhook of a Git platform", codes: HOOK },

  "GET /api/v1/records": { summary: "List records, newest first", codes: ["history/away"] },
  "GET /api/v1/records/:record": { summary: "Show a record", codes: ["record/not-found"] },
  "GET /api/v1/procs": { summary: "List processes that run now" },
  "GET /api/v1/executions": { summary: "List executions: what runs, then what has ended, newest first", codes: ["history/away"] },
  "GET /api/v1/executions/:execution": { summary: "Show an execution with the record of each attempt", codes: ["execution/not-found"] },
  "POST /api/v1/executions/:execution/kill": {
    summary: "End an execution",
    codes: ["execution/not-found", "execution/ended", "node/not-online", "write/conflict"],
  },
  "GET /api/v1/executions/:execution/log": {
    summary: "A part of the output of an execution",
    gives: "application/octet-stream",
    codes: LOG,
  },
  "GET /api/v1/executions/:execution/log/search": { summary: "Find a line with a text in the output of an execution", codes: LOG },
  "GET /api/v1/executions/:execution/log/follow": {
    summary: "The output of an execution as it comes, as server-sent events",
    gives: "text/event-stream",
    codes: LOG,
  },

  "GET /api/v1/nodes": { summary: "List nodes" },
  "GET /api/v1/nodes/:node": { summary: "Show a node and what runs on it", codes: NODE },
  "PATCH /api/v1/nodes/:node/labels": { summary: "Set and remove labels of a node", codes: NODE },
  "POST /api/v1/nodes/:node/drain": { summary: "Let a node take no new work", codes: NODE },
  "POST /api/v1/nodes/:node/undrain": { summary: "Let a node take work again", codes: NODE },
  "DELETE /api/v1/nodes/:node": {
    summary: "Forget a node that will not come back",
    codes: ["node/not-found", "node/online", "write/conflict"],
  },

  "GET /api/v1/secrets": { summary: "List secrets and which nodes have them; no values" },
  "PUT /api/v1/secrets/:group/:name": {
    summary: "Set a secret that the client has encrypted for each node",
    codes: ["node/not-found", "write/conflict"],
  },
  "DELETE /api/v1/secrets/:group/:name": { summary: "Remove a secret", codes: ["secret/not-found", "write/conflict"] },

  "GET /api/v1/globals": { summary: "List globals" },
  "GET /api/v1/globals/:name": { summary: "Show a global", codes: ["global/not-found"] },
  "PUT /api/v1/globals/:name": { summary: "Set a global", codes: ["write/conflict"] },
  "DELETE /api/v1/globals/:name": { summary: "Remove a global", codes: ["global/not-found", "write/conflict"] },

  "GET /api/v1/channels": { summary: "List channels of notifications" },
  "GET /api/v1/channels/:name": { summary: "Show a channel; secrets are masked", codes: ["channel/not-found"] },
  "PUT /api/v1/channels/:name": { summary: "Create or replace a channel", codes: ["write/conflict"] },
  "DELETE /api/v1/channels/:name": { summary: "Delete a channel", codes: ["channel/not-found", "channel/in-use", "write/conflict"] },
  "POST /api/v1/channels/:name/test": {
    summary: "Send a message through a channel now",
    codes: ["channel/not-found", "channel/secret", "channel/refused", "channel/failed"],
  },
  "GET /api/v1/deliveries": { summary: "List deliveries of notifications" },
  "POST /api/v1/deliveries/:delivery/retry": {
    summary: "Try a failed delivery again",
    codes: ["delivery/not-found", "delivery/not-failed", "write/conflict"],
  },

  "GET /api/v1/tokens": { summary: "List tokens" },
  "POST /api/v1/tokens": { summary: "Make a token; its text is in this answer only", codes: ["token/exists"] },
  "DELETE /api/v1/tokens/:token": { summary: "Revoke a token", codes: ["token/not-found", "write/conflict"] },
  "GET /api/v1/audit": { summary: "The audit log, newest first" },
  "POST /api/v1/session": { summary: "Log in to the console" },
  "GET /api/v1/session": { summary: "Who asks, and what it may do" },
  "DELETE /api/v1/session": { summary: "Log out" },
  "POST /api/v1/session/links": { summary: "Make a one-time login link" },
  "GET /api/v1/session/methods": { summary: "How one may log in" },
  "GET /api/v1/session/oidc": { summary: "Go to the OpenID provider to log in to the console" },
  "GET /api/v1/session/oidc/callback": { summary: "Come back from the OpenID provider, with a session or with the reason why not" },
  "GET /api/v1/sessions": { summary: "List sessions of the console" },
  "DELETE /api/v1/sessions/:session": { summary: "End a session", codes: ["session/not-found"] },
};
