/**
 * OpenAPI 3.1, made from the schemas that requests are checked with (routes), the values of the model (model-schema.ts, the schemas of jobs, pipelines and
 * channels), the table of errors and the sentences in api-docs.ts.
 */
import swagger from "@fastify/swagger";
import { createJsonSchemaTransform } from "fastify-type-provider-zod";
import { ERROR_TABLE, type ErrorCode } from "fleetcron-shared/base/error-table";
import { channelSchema } from "fleetcron-shared/model/channel-schema";
import { jobSchema } from "fleetcron-shared/model/job-schema";
import { pipelineSchema } from "fleetcron-shared/model/pipeline/pipeline-schema";
import { z } from "zod";
import { ROUTE_DOCS, type RouteDoc } from "./api-docs.ts";
import { API_BASE, Problem } from "./api-schema.ts";
import type { App } from "./app.ts";
import { MODELS } from "./model-schema.ts";

type Json = Record<string, unknown>;
/** A document that can be sent as it is. */
export type OpenApi = Json & { readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>> };

const PROBLEM = "application/problem+json";

/** Before the routes are added. */
export function addOpenApi(app: App, about: { version: string }): void {
  const transform = createJsonSchemaTransform({});
  void app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Fleetcron",
        version: about.version,
        description:
          "The REST API of a Fleetcron master. Times are RFC 3339, revisions those of etcd. Errors are problem details (RFC 9457) with a code of the table in docs/errors.md. Answers may hold further fields.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: "/", description: "this master" }],
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            description: "An access token; the first start writes one to the master's data folder.",
          },
        },
      },
    },
    transform(document) {
      const { schema, url } = document;
      if (!isOurs(schema)) return { schema: { hide: true }, url };
      const { body, ...rest } = schema ?? {};
      // What is made of an absent body is no concern of the reader.
      const shown = body instanceof z.ZodPipe ? body.def.out : body;
      // A route without a schema is shown too: nothing is left out by accident.
      const made = transform({ ...document, schema: shown === undefined ? rest : { ...rest, body: shown } } as never);
      return { schema: made.schema as Json, url: made.url };
    },
  });
}

function isOurs(schema: unknown): boolean {
  return (schema as { hide?: boolean } | undefined)?.hide !== true;
}

/** `app`: whose routes are told of. */
export function addOpenApiRoute(scope: App, app: App): void {
  let text: string | undefined;
  const schema = { response: { 200: z.record(z.string(), z.unknown()) } };
  scope.get(`${API_BASE}/openapi.json`, { schema }, async (_request, reply) => {
    text ??= JSON.stringify(openApiOf(app));
    return reply
      .type("application/json; charset=utf-8")
      .serializer(String)
      .send(text as never);
  });
}

/** The whole document; the app must be ready. */
export function openApiOf(app: App): OpenApi {
  const raw = openObjects(app.swagger()) as Json & { paths: Record<string, Record<string, Json>>; components?: Json };
  for (const [path, operations] of Object.entries(raw.paths)) {
    for (const [method, operation] of Object.entries(operations)) describe(path, method.toUpperCase(), operation);
  }
  const models = { ...MODELS, Problem };
  const specs = { JobSpec: jobSchema, PipelineSpec: pipelineSchema, ChannelSpec: channelSchema };
  const schemas = Object.fromEntries([
    ...Object.entries(models).map(([name, schema]) => [name, openObjects(toJson(schema, "output"))]),
    ...Object.entries(specs).map(([name, schema]) => [name, toJson(schema, "input")]),
    ["ErrorCode", errorCodes()],
    ["TargetSpec", { type: "object", properties: { nodes: { type: "array" }, labels: { type: "object" } } }],
  ]);
  return { ...raw, tags: tagsOf(raw.paths), components: { ...raw.components, schemas } } as OpenApi;
}

function errorCodes(): Json {
  const rows = Object.entries(ERROR_TABLE).map(
    ([code, { status, retry, means }]) => `- \`${code}\` (${status}${retry ? ", may pass" : ""}): ${means}`,
  );
  return { type: "string", enum: Object.keys(ERROR_TABLE), description: rows.join("\n") };
}

function toJson(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { target: "draft-2020-12", io, unrepresentable: "any" });
  return json as Json;
}

/** What all may answer with; a row of api-docs.ts adds to it. */
function codesOf(path: string, method: string, doc: RouteDoc, operation: Json): ErrorCode[] {
  const isApi = path.startsWith(API_BASE) && path !== `${API_BASE}/openapi.json`;
  const changes = method !== "GET";
  const auth = (Object.keys(ERROR_TABLE) as ErrorCode[]).filter((code) => code.startsWith("auth/"));
  const etcd = ["etcd/unreachable", "etcd/refused", "etcd/closed", ...(changes ? ["etcd/unknown-outcome", "etcd/lease-gone"] : [])];
  return [
    ...new Set([
      ...(isApi ? ["input/usage", "server/not-ready", "server/too-many", ...auth, ...etcd] : []),
      ...(operation.requestBody === undefined && !changes ? [] : ["input/invalid", "input/too-large"]),
      ...(method === "POST" && isApi ? ["input/key-reused", "write/conflict"] : []),
      ...(doc.codes ?? []),
      "internal/bug",
    ] as ErrorCode[]),
  ];
}

function describe(path: string, method: string, operation: Json): void {
  const url = path.replaceAll(/\{(\w+)\}/g, ":$1");
  const doc = ROUTE_DOCS[`${method} ${url}`] ?? { summary: "" };
  const [, , , family = "system"] = url.split("/");
  const isOpen = isPublic(url);
  operation.operationId = operationId(method, url);
  operation.summary = doc.summary;
  operation.tags = [url.startsWith(API_BASE) ? family : "system"];
  operation.security = isOpen ? [] : [{ token: [] }];
  const parameters = (operation.parameters ?? []) as Json[];
  if (method === "POST" && !isOpen) {
    const meaning = "1 to 200 visible ASCII characters; the same request under the same key happens once";
    parameters.push({ name: "Idempotency-Key", in: "header", description: meaning, schema: { type: "string", maxLength: 200 } });
  }
  if (parameters.length > 0) operation.parameters = parameters;
  const responses = { ...(operation.responses as Record<string, Json>) };
  if (doc.gives !== undefined) responses["200"] = { description: doc.summary, content: { [doc.gives]: { schema: { type: "string" } } } };
  for (const response of Object.values(responses)) response.description = doc.summary;
  if (method === "GET" && parameters.some(({ name }) => name === "if-none-match"))
    responses["304"] = { description: "It still has the revision of If-None-Match" };
  const body = operation.requestBody as Json | undefined;
  if (body !== undefined && /\/(run|reset|kill|cancel|rerun|approve|deny|confirm|reject)$/.test(url)) body.required = false;
  const codes = codesOf(path, method, doc, operation);
  for (const status of new Set(codes.map((code) => ERROR_TABLE[code].status))) {
    const some = codes.filter((code) => ERROR_TABLE[code].status === status);
    const schema = { allOf: [{ $ref: "#/components/schemas/Problem" }, { type: "object", properties: { code: { enum: some } } }] };
    const problem = { description: some.map((code) => `\`${code}\``).join(", "), content: { [PROBLEM]: { schema } } };
    const held = responses[String(status)];
    responses[String(status)] = held === undefined ? problem : { ...held, content: { ...(held.content as Json), ...problem.content } };
  }
  operation.responses = responses;
}

function isPublic(url: string): boolean {
  return !url.startsWith(`${API_BASE}/`) || url === `${API_BASE}/openapi.json` || url.startsWith(`${API_BASE}/hooks/`);
}

/** `getJobsGroupId`: the method and the words of the path. */
function operationId(method: string, url: string): string {
  const words = url.replace(API_BASE, "").match(/[A-Za-z]+/g) ?? [];
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

function tagsOf(paths: Record<string, Record<string, Json>>): Json[] {
  const names = Object.values(paths).flatMap((operations) => Object.values(operations).flatMap(({ tags }) => tags as string[]));
  return [...new Set(names)].sort().map((name) => ({ name }));
}

/** A deep copy in which answers may hold further fields, and values of the model are references. */
function openObjects(value: unknown, isAnswer = true): unknown {
  if (Array.isArray(value)) return value.map((one) => openObjects(one, isAnswer));
  if (typeof value !== "object" || value === null) return value;
  const held = value as Json;
  const { title } = held;
  if (typeof title === "string" && held.type === undefined && held.properties === undefined && Object.keys(held).every(isNote)) {
    const { title: _, ...notes } = held;
    return { ...notes, $ref: `#/components/schemas/${title}` };
  }
  const entries = Object.entries(held).filter(([key, child]) => !(isAnswer && key === "additionalProperties" && child === false));
  return Object.fromEntries(
    entries.map(([key, child]) => [key, openObjects(child, isAnswer && key !== "requestBody" && key !== "parameters")]),
  );
}

function isNote(key: string): boolean {
  return key === "title" || key === "description";
}
