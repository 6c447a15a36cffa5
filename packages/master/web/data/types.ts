/** The API's shapes under short names, taken from the client that speaks it. */
import type { ApiClient } from "../../src/client/api.ts";

type Answer<K extends keyof ApiClient> = ApiClient[K] extends (...args: never[]) => Promise<infer T> ? T : never;

export type Info = Answer<"info">;
export type Job = Answer<"jobs">["items"][number];
export type JobSpec = Job["spec"];
export type JobRef = Parameters<ApiClient["job"]>[0];
export type Next = Answer<"nextTicks">;
export type Why = Answer<"why">;
export type ApplyResult = Answer<"apply">;
export type Node = Answer<"nodes">["items"][number];
export type NodeDetail = Answer<"node">;
export type Record = Answer<"records">["items"][number];
export type Execution = Answer<"executions">["items"][number];
export type ExecutionDetail = Answer<"execution">;
export type Pipeline = Answer<"pipelines">["items"][number];
export type RunSummary = Answer<"pipelineRuns">["items"][number];
export type Run = Answer<"pipelineRun">;
export type Task = Run["tasks"][number];
export type Channel = Answer<"channels">["items"][number];
export type Delivery = Answer<"deliveries">["items"][number];
export type Verdicts = Answer<"verdicts">;
export type Forecast = Answer<"forecast">;
export type Token = Answer<"tokens">["items"][number];
export type AuditEntry = Answer<"audit">["items"][number];
