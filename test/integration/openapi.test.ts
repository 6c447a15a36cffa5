import test from "ava";
import { ROUTE_DOCS } from "fleetcron/http/api-docs";
import { ERROR_TABLE } from "fleetcron-shared/base/error-table";
import { createTruth, type OpenApiDocument } from "../support/api-truth.ts";
import { startEtcd } from "../support/etcd.ts";
import { startMasterProcess } from "../support/master.ts";

test("the document is valid OpenAPI 3.1 and holds each route of the app, described", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const response = await fetch(`${master.url}/api/v1/openapi.json`);
  t.is(response.headers.get("content-type"), "application/json; charset=utf-8");
  const document = (await response.json()) as OpenApiDocument;
  t.regex(document.openapi, /^3\.1\.\d$/);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const routes = operations.map(({ path, method }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`);
  const described = Object.keys(ROUTE_DOCS);
  t.deepEqual(
    routes.filter((route) => !described.includes(route)),
    [],
    "each route has a row in http/api-docs.ts",
  );
  t.deepEqual(
    described.filter((route) => !routes.includes(route)),
    [],
    "each row is of a route",
  );

  const ids = operations.map(({ operation }) => operation.operationId);
  t.is(new Set(ids).size, ids.length, "operation ids are unique");
  for (const { path, method, operation } of operations) {
    const what = `${method} ${path}`;
    t.is(typeof operation.summary, "string", what);
    t.true((operation.summary as string).length > 5, what);
    t.true(Array.isArray(operation.security), what);
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const given = (operation.parameters ?? []).filter((one) => one.in === "path");
    t.deepEqual(given.map(({ name }) => name).sort(), named.sort(), what);
    t.true(
      given.every(({ required }) => required === true),
      what,
    );
    for (const one of operation.parameters ?? []) {
      t.true(["path", "query", "header"].includes(one.in), `${what} ${one.name}`);
      t.is(typeof one.schema, "object", `${what} ${one.name}`);
    }
    for (const [status, { description, content }] of Object.entries(
      operation.responses as Record<string, { description?: string; content?: object }>,
    )) {
      t.regex(status, /^[1-5]\d\d$/, what);
      t.is(typeof description, "string", `${what} ${status}`);
      if (Number(status) >= 400 && path !== "/readyz")
        t.true(content !== undefined && "application/problem+json" in content, `${what} ${status}`);
    }
    const good = Object.entries(operation.responses).filter(([status]) => status < "300");
    for (const [status, { content }] of good) t.true(Object.keys(content ?? {}).length > 0, `${what} ${status} says what it answers`);
    t.true(good.length > 0 || "302" in operation.responses, what);
  }

  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? "");
  for (const ref of new Set(refs)) {
    const [, first, ...rest] = ref.split("/");
    let at: unknown = document[first as "components"];
    for (const part of rest) at = (at as Record<string, unknown> | undefined)?.[part];
    t.is(typeof at, "object", ref);
  }
  t.deepEqual((document.components.schemas.ErrorCode as { enum: string[] }).enum, Object.keys(ERROR_TABLE));
});

test("an untrue answer is found", (t) => {
  const document: OpenApiDocument = {
    openapi: "3.1.0",
    components: { schemas: {} },
    paths: {
      "/a/{id}": {
        get: {
          responses: { 200: { content: { "application/json": { schema: { type: "object", properties: { x: { type: "number" } } } } } } },
        },
      },
    },
  };
  const { check } = createTruth(document);
  t.is(check("GET", "/a/1", 200, "application/json", { x: 1 }), undefined);
  t.regex(check("GET", "/a/1", 200, "application/json", { x: "1" }) ?? "", /must be number/);
  t.regex(check("GET", "/a/1", 200, "application/json", { y: 1 }) ?? "", /additional/);
  t.regex(check("GET", "/a/1", 418, "application/json", {}) ?? "", /status/);
  t.regex(check("GET", "/b", 200, "application/json", {}) ?? "", /not in the document/);
});
