/**
 * Holds every answer of a master to its own OpenAPI document, as `fetch` for tests. Stricter than the document: what it does not name may not come. Of
 * streams and logs only the status and the type are looked at.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

type Json = Record<string, unknown>;
export type OpenApiDocument = {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Json> };
};
export type Operation = Json & {
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: Json }> }>;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean; readonly schema: Json }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Json }> };
};

type Fetch = typeof fetch;

export function createTruth(document: OpenApiDocument) {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: "api", components: close(document.components) as Json });
  const compiled = new Map<string, ValidateFunction>();
  const templates = Object.keys(document.paths).map((path) => ({
    path,
    pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
    parameters: path.split("{").length,
  }));

  /** What is wrong with an answer; undefined: nothing. */
  function check(method: string, pathname: string, status: number, type: string, body: unknown): string | undefined {
    const found = templates.filter(({ pattern }) => pattern.test(pathname)).sort((a, b) => a.parameters - b.parameters)[0];
    const operation = found === undefined ? undefined : document.paths[found.path]?.[method === "HEAD" ? "get" : method.toLowerCase()];
    const what = `${method} ${pathname} answered ${status} ${type}`;
    if (operation === undefined || found === undefined) {
      return status === 404 || status >= 400 ? undefined : `${what}, and is not in the document`;
    }
    const response = operation.responses[String(status)];
    if (response === undefined) return `${what}: a status that is not documented: ${JSON.stringify(body)}`;
    if (body === undefined) return undefined;
    const [media = ""] = type.split(";");
    const content = response.content?.[media];
    if (content === undefined) {
      const other = Object.keys(response.content ?? {}).join();
      return /octet-stream|text\//.test(other) ? undefined : `${what}: documented is ${other}`;
    }
    if (!media.endsWith("json")) return undefined;
    const id = `${method} ${found.path} ${status} ${media}`;
    const validate = compiled.get(id) ?? ajv.compile(pointing(close(content.schema)) as Json);
    compiled.set(id, validate);
    if (validate(body)) return undefined;
    return `${what}: ${ajv.errorsText(validate.errors?.slice(0, 5))}\n${JSON.stringify(body).slice(0, 2000)}`;
  }

  return { check, templates };
}

/** `fetch` that fails for an untrue answer. The document is asked of each server once. */
export function checkedFetch(plain: Fetch = fetch): Fetch {
  const truths = new Map<string, Promise<ReturnType<typeof createTruth>>>();
  return async (input, init) => {
    const url = new URL(String(input));
    const response = await plain(input, init);
    if (!url.pathname.startsWith("/api/v1")) return response;
    const known = truths.get(url.origin);
    const asking =
      known ??
      plain(`${url.origin}/api/v1/openapi.json`)
        .then((answer) => answer.json() as Promise<OpenApiDocument>)
        .then(createTruth);
    truths.set(url.origin, asking);
    const truth = await asking.catch(() => undefined);
    if (truth === undefined) {
      // The server is going away.
      truths.delete(url.origin);
      return response;
    }
    const type = response.headers.get("content-type") ?? "";
    const body = /json/.test(type) ? ((await response.clone().json()) as unknown) : undefined;
    const wrong = truth.check(init?.method ?? "GET", url.pathname, response.status, type, body);
    if (wrong !== undefined) throw Object.assign(new Error(`not as the OpenAPI document says: ${wrong}`), { code: "UNTRUE" });
    return response;
  };
}

/** A copy in which objects hold nothing beyond what is named. */
function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close);
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, child]) => [key, key === "allOf" ? child : close(child)]));
  const isObject = "properties" in copy && typeof copy.properties === "object" && "type" in copy;
  return isObject && !("additionalProperties" in copy) ? { ...copy, additionalProperties: false } : copy;
}

/** References to the components as ajv knows them. */
function pointing(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('"#/components/', '"api#/components/')) as unknown;
}
