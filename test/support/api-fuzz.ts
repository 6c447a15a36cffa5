/** Makes requests out of the OpenAPI document: mostly such as it asks for, some a little wrong, some very. */
import fc from "fast-check";
import type { OpenApiDocument, Operation } from "./api-truth.ts";

export type FuzzRequest = {
  readonly method: string;
  /** As it goes out, with its query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
};
type Json = Record<string, unknown>;

/** What parsers and paths stumble over. */
const NASTY = [
  "",
  " ",
  "\0",
  "a\0b",
  "../../../../etc/passwd",
  "..\\..\\x",
  "%2e%2e%2f",
  "/etc/passwd",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "a/b/c",
  "\r\nx-injected: 1",
  "\u2028",
  "\ud800",
  "🦄",
  "x".repeat(300),
  "x".repeat(5000),
  "-1",
  "1e999",
  "NaN",
  "9007199254740993",
  "null",
  "[]",
  "{}",
  "*",
  "~",
  "'; drop table records; --",
  "<script>alert(1)</script>",
  "${jndi:ldap://x}",
  "(a+)+$",
  "2026-02-30T25:61:61Z",
  "eyJ4IjoxfQ",
  "WyJhIiwiYiJd",
];
const nasty = fc.constantFrom(...NASTY);
const nastyValue: fc.Arbitrary<unknown> = fc.oneof(
  nasty,
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, [], {}, [[]], { a: { b: { c: {} } } }),
  fc.integer(),
  fc.jsonValue({ maxDepth: 3 }),
);
const JOBS = ["true", "false", "echo \u0000", "🦄".repeat(100)].map((script) =>
  JSON.stringify({ spec: { run: { command: { script } }, rules: [{ mode: "cycle", timer: "@yearly" }] } }),
);
/** Of the fleet that the test has made, so that requests also reach what is there. */
const known = (names: readonly string[]) => fc.constantFrom(...names);

/** One in `n` is wrong. */
function mostly<T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<unknown>, n: number): fc.Arbitrary<unknown> {
  return fc.oneof({ arbitrary: right, weight: n - 1 }, { arbitrary: wrong, weight: 1 });
}

export function fuzzRequests(
  document: OpenApiDocument,
  names: readonly string[],
  skip: (method: string, path: string) => boolean,
): fc.Arbitrary<FuzzRequest> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      skip(method.toUpperCase(), path) ? [] : [requestOf(document, path, method.toUpperCase(), operation, names)],
    ),
  );
  return fc.oneof(...operations);
}

function requestOf(
  document: OpenApiDocument,
  path: string,
  method: string,
  operation: Operation,
  names: readonly string[],
): fc.Arbitrary<FuzzRequest> {
  const parameters = operation.parameters ?? [];
  const value = (schema: Json) => mostly(fc.oneof(known(names), valueFor(document, schema, 3)), nasty, 6);
  const inPath = fc.record(Object.fromEntries(parameters.filter((one) => one.in === "path").map((one) => [one.name, value(one.schema)])));
  const inQuery = fc.record(
    Object.fromEntries(
      parameters.filter((one) => one.in === "query").map((one) => [one.name, mostly(valueFor(document, one.schema, 3), nasty, 4)]),
    ),
    { requiredKeys: [] },
  );
  const headers = fc.record(
    {
      "if-match": fc.constantFrom("*", '"0"', '"1"', 'W/"3"', "x", '"99999999999999999999"', ","),
      "if-none-match": fc.constantFrom("*", '"1"', "x", ",,,", '"'),
      "idempotency-key": fc.oneof(fc.uuid(), fc.constantFrom("a b", "x".repeat(201), "__proto__", "k")),
      "last-event-id": fc.constantFrom("1:2", "x", "99:99", "-1", "1.1.1"),
      "content-type": fc.constantFrom(
        "application/json",
        "application/json; charset=latin1",
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "x",
        "",
      ),
      "x-forwarded-for": fc.constant("127.0.0.1"),
      accept: fc.constantFrom("text/html", "*/*", "x/y;q=nan"),
      cookie: fc.constantFrom("a=b", "=;=", "x".repeat(500)),
    },
    { requiredKeys: [] },
  );
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const made = schema === undefined ? fc.constant(undefined) : valueFor(document, schema, 5).map((one) => JSON.stringify(one));
  // What a generator seldom hits: a whole job.
  const right = path.endsWith("/jobs/{group}/{id}") ? fc.oneof(made, fc.constantFrom(...JOBS)) : made;
  const wrong = fc.oneof(
    nastyValue.map((one) => JSON.stringify(one)),
    fc.constantFrom(
      "{",
      '{"a":',
      "[".repeat(5000),
      "\u0000",
      '{"__proto__":{"x":1}}',
      '{"constructor":{"prototype":{"x":1}}}',
      '{"spec":{"__proto__":null}}',
      "nul",
      '"',
      '{"a":1e99999}',
    ),
    nasty,
  );
  const body =
    method === "GET" || method === "DELETE" ? fc.constant(undefined) : (mostly(right, wrong, 4) as fc.Arbitrary<string | undefined>);
  return fc
    .record({ inPath, inQuery, headers: mostly(fc.constant({}), headers, 4), body, raw: mostly(fc.constant(false), fc.constant(true), 8) })
    .map((made) => {
      const part = (one: unknown) => (made.raw ? String(one).replaceAll(/[^\x21-\x7e]|[?#]/g, "%00") : encode(String(one)));
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => part((made.inPath as Json)[name]));
      const pairs = Object.entries(made.inQuery as Json).flatMap(([name, one]) =>
        [one].flat().map((each) => `${name}=${encode(String(each))}`),
      );
      const target = pairs.length === 0 ? filled : `${filled}?${pairs.join("&")}`;
      const type = made.body === undefined ? {} : { "content-type": "application/json" };
      const sent = { ...type, ...(made.headers as Json) } as Record<string, string>;
      if (made.body === undefined) delete sent["content-type"];
      return { method, target, headers: sent, body: made.body };
    });
}

/** Lone surrogates cannot be encoded: they go out as bytes that are no UTF-8. */
function encode(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : "%ff%fe%c0%af";
}

/** A value that the schema takes, as far as that is easy. */
function valueFor(document: OpenApiDocument, schema: Json, depth: number): fc.Arbitrary<unknown> {
  if (typeof schema.$ref === "string") {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
    return depth <= 0 ? fc.constant({}) : valueFor(document, document.components.schemas[name] ?? {}, depth - 1);
  }
  const choices = (schema.anyOf ?? schema.oneOf) as Json[] | undefined;
  if (choices !== undefined && choices.length > 0) return fc.oneof(...choices.map((one) => valueFor(document, one, depth - 1)));
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  if ("const" in schema) return fc.constant(schema.const);
  const type = Array.isArray(schema.type) ? (schema.type[0] as string) : schema.type;
  switch (type) {
    case "string":
      return typeof schema.pattern === "string" ? matching(schema.pattern) : mostly(fc.string({ maxLength: 20 }), nasty, 5);
    case "integer":
    case "number":
      return fc.integer({
        min: Math.max(-1000, Number(schema.minimum ?? -1000)),
        max: Math.min(1_000_000, Number(schema.maximum ?? 1000)),
      });
    case "boolean":
      return fc.boolean();
    case "array":
      return depth <= 0
        ? fc.constant([])
        : fc.array(valueFor(document, (schema.items as Json | undefined) ?? {}, depth - 1), { maxLength: 3 });
    case "object":
      return depth <= 0 ? fc.constant({}) : objectOf(document, schema, depth);
    default:
      return nastyValue;
  }
}

function objectOf(document: OpenApiDocument, schema: Json, depth: number): fc.Arbitrary<unknown> {
  const properties = (schema.properties ?? {}) as Record<string, Json>;
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, one]) => [name, mostly(valueFor(document, one, depth - 1), nastyValue, 60)]),
  );
  const more =
    typeof schema.additionalProperties === "object" ? valueFor(document, schema.additionalProperties as Json, depth - 1) : undefined;
  const named = fc.record(fields, { requiredKeys: (schema.required ?? []) as string[] });
  return more === undefined
    ? named
    : fc.tuple(named, fc.dictionary(nasty, more, { maxKeys: 3 })).map(([a, b]) => ({ ...(a as Json), ...b }));
}

function matching(pattern: string): fc.Arbitrary<string> {
  try {
    return fc.stringMatching(new RegExp(pattern), { size: "small" });
  } catch {
    return fc.string({ maxLength: 20 });
  }
}
