/** `npm run docs`: writes into the documents what is a table in the code. A test holds the two together. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MASTER_METRICS } from "fleetcron/metrics/table";
import { AGENT_METRICS } from "fleetcron-agent/metrics/table";
import { ERROR_TABLE, type ErrorRow } from "fleetcron-shared/base/error-table";
import type { MetricRow } from "fleetcron-shared/base/metric-row";
import { FAILURES, type Failure } from "fleetcron-shared/model/failures";
import { jobFileSchema } from "fleetcron-shared/model/job-json-schema";

const docs = join(import.meta.dirname, "../docs");

type JsonSchema = {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
};

/** Each generated document and what stands between its two marks. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  "errors.md": errorTable,
  "jobs.md": jobTables,
  "metrics.md": metricTables,
  "notifications.md": channelTables,
  "pipelines.md": pipelineTables,
  "runners.md": failureTable,
};

/** A document with its generated part renewed. */
export function renew(name: string, text: string): string {
  const body = GENERATED[name]?.() ?? "";
  return text.replace(
    /(<!-- generated: begin -->\n)[\s\S]*(<!-- generated: end -->)/,
    (_, begin: string, end: string) => `${begin}${body}\n${end}`,
  );
}

function errorTable(): string {
  const rows = Object.entries<ErrorRow>(ERROR_TABLE).map(
    ([code, { status, exit, retry, means }]) => `| \`${code}\` | ${status} | ${exit} | ${retry ? "yes" : "no"} | ${means} |`,
  );
  return ["| code | status | exit | retry | means |", "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

/** One table per program. */
function metricTables(): string {
  const table = (program: string, rows: Readonly<Record<string, MetricRow>>) => {
    const lines = Object.entries(rows).map(([name, { type, labels = [], help }]) => {
      const names = labels.map((label) => `\`${label}\``).join(", ");
      return `| \`${name}\` | ${type} | ${names} | ${help} |`;
    });
    return [`### ${program}`, "", "| metric | type | labels | tells |", "| --- | --- | --- | --- |", ...lines].join("\n");
  };
  return [table("The master", MASTER_METRICS), table("The agent", AGENT_METRICS)].join("\n\n");
}

function failureTable(): string {
  const rows = Object.entries<Failure>(FAILURES).map(
    ([code, { retry, means, todo }]) => `| \`${code}\` | ${retry ? "yes" : "no"} | ${means} | ${todo} |`,
  );
  return ["| code | retried | means | what to do |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** One table per object of the job file's schema, outermost first. */
function jobTables(): string {
  const file = jobFileSchema() as JsonSchema;
  const job = file.properties?.jobs?.additionalProperties;
  if (typeof job !== "object") throw new Error("the schema of a job file has no jobs");
  return objectTables("jobs.<group>/<id>", job).join("\n\n");
}

function channelTables(): string {
  const channel = (jobFileSchema() as JsonSchema).properties?.channels?.additionalProperties;
  if (typeof channel !== "object") throw new Error("the schema of a job file has no channels");
  return objectTables("channels.<name>", channel).join("\n\n");
}

/** Tasks are described once, though they may stand in three places. */
function pipelineTables(): string {
  const pipeline = (jobFileSchema() as JsonSchema).properties?.pipelines?.additionalProperties;
  if (typeof pipeline !== "object") throw new Error("the schema of a job file has no pipelines");
  const tables = objectTables("pipelines.<group>/<id>", pipeline);
  return tables.filter((table) => !/^### `\S+\.(stages\[\]\.tasks|finally)\[\]/.test(table)).join("\n\n");
}

function objectTables(path: string, schema: JsonSchema): string[] {
  const rows: string[] = [];
  const inner: string[] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const required = schema.required?.includes(name) === true ? " (required)" : "";
    rows.push(`| \`${name}\`${required} | ${(field.description ?? "").replaceAll("|", "\\|")} |`);
    const object = field.items?.properties === undefined ? field : field.items;
    if (object.properties !== undefined) inner.push(...objectTables(`${path}.${name}${object === field ? "" : "[]"}`, object));
  }
  return [[`### \`${path}\``, "", "| field | |", "| --- | --- |", ...rows].join("\n"), ...inner];
}

if (import.meta.main) {
  for (const name of Object.keys(GENERATED)) {
    const path = join(docs, name);
    writeFileSync(path, renew(name, readFileSync(path, "utf8")));
  }
}
