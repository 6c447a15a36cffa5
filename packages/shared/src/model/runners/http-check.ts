/** What the fields of `run.http` mean together: everything that would make the call fail each time, found before the job is stored. Pure. */
import type { ShapeIssue } from "../../base/zod-issues.ts";
import type { HttpSpec } from "./http-spec.ts";
import { isEmptyRange } from "./http-status.ts";
import { fillTemplate, parseTemplate, textsIn } from "./template.ts";

/** What is put in for a variable to see whether the rest is an address: it may stand for a host, a port, a path or a query. */
const PLACEHOLDER = "1";
/** The connection's own, which a job could only break. */
const OWN_HEADERS = /^(connection|content-length|expect|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;
const BODILESS = ["GET", "HEAD"];

/** Paths begin inside the spec. `secrets`: the names under the job's `secrets`; absent: not looked at. */
export function checkHttp(spec: HttpSpec, secrets?: readonly string[]): ShapeIssue[] {
  return [...checkTemplates(spec), ...checkUrl(spec), ...checkProxy(spec), ...checkRequest(spec), ...checkTls(spec, secrets)];
}

function checkTemplates({ url, proxy = "", headers = {}, body }: HttpSpec): ShapeIssue[] {
  return textsIn({ url, proxy, headers, body }).flatMap(({ path, text }): ShapeIssue[] => {
    const parsed = parseTemplate(text);
    return "parts" in parsed ? [] : [{ path, message: parsed.problem, hint: `a plain \${ is written $\${` }];
  });
}

/** With placeholders for its variables; undefined when it is no address. A text that begins with a variable takes the beginning from there. */
function sampleUrl(text: string): URL | undefined {
  const parsed = parseTemplate(text);
  if (!("parts" in parsed)) return undefined;
  const filled = fillTemplate(parsed.parts, (_, before) => (before === "" ? "http://1" : PLACEHOLDER));
  return URL.canParse(filled) ? new URL(filled) : undefined;
}

function checkUrl({ url }: HttpSpec): ShapeIssue[] {
  const path = ["url"];
  if (!("parts" in parseTemplate(url))) return [];
  const sample = sampleUrl(url);
  const hint = `it begins with http:// or https://, or with a variable that does: \${BASE}/path`;
  if (sample === undefined) return [{ path, message: "is not an address that can be called", hint }];
  if (!/^https?:$/.test(sample.protocol) || !/^(https?:\/\/|\$\{)/i.test(url))
    return [{ path, message: `"${sample.protocol}" cannot be called`, hint }];
  if (sample.password !== "" && !/\$\{[^}]*\}@/.test(url))
    return [{ path, message: "holds a password in plain text", hint: `keep it in secrets, and write \${NAME}` }];
  if (sample.hash !== "") return [{ path, message: "has a part behind #, which is never sent", hint: "remove it; a plain # is %23" }];
  return [];
}

function checkProxy({ proxy }: HttpSpec): ShapeIssue[] {
  if (proxy === undefined || !("parts" in parseTemplate(proxy))) return [];
  const sample = sampleUrl(proxy);
  const hint = `http://host:port or http://user:\${PASSWORD}@host:port`;
  if (sample === undefined || sample.protocol !== "http:" || sample.pathname !== "/" || sample.search !== "" || sample.hash !== "")
    return [{ path: ["proxy"], message: "is not the address of an HTTP proxy", hint }];
  return [];
}

function checkRequest({ method = "GET", headers = {}, body, expectStatus = [], expectBody }: HttpSpec): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  if (method === "CONNECT" || method === "TRACE")
    issues.push({ path: ["method"], message: `${method} is not a call that ends`, hint: "such as GET, POST, PUT, PATCH or DELETE" });
  if (body !== undefined && BODILESS.includes(method))
    issues.push({ path: ["body"], message: `a ${method} request has no body`, hint: "use method: POST, or remove the body" });
  if (expectBody !== undefined && method === "HEAD")
    issues.push({ path: ["expectBody"], message: "the response to HEAD has no body", hint: "use GET" });
  for (const [index, entry] of expectStatus.entries()) {
    if (isEmptyRange(entry))
      issues.push({ path: ["expectStatus", index], message: `"${entry}" holds no status`, hint: "the smaller one comes first" });
  }
  const seen = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const path = ["headers", name];
    const first = seen.get(name.toLowerCase());
    if (first !== undefined) issues.push({ path, message: `is the same header as ${first}` });
    seen.set(name.toLowerCase(), name);
    if (OWN_HEADERS.test(name)) issues.push({ path, message: "is set by the connection itself", hint: "remove it" });
    if (/[\r\n]/.test(value)) issues.push({ path, message: "contains a line break", hint: "a header is one line" });
  }
  return issues;
}

function checkTls({ tls, url }: HttpSpec, secrets: readonly string[] | undefined): ShapeIssue[] {
  if (tls === undefined) return [];
  const issues: ShapeIssue[] = [];
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const path = ["tls", tls.cert === undefined ? "cert" : "key"];
    issues.push({ path, message: "a client certificate needs both cert and key" });
  }
  if (tls.passphrase !== undefined && tls.key === undefined)
    issues.push({ path: ["tls", "passphrase"], message: "there is no key that it could be for" });
  if (tls.passphrase !== undefined && secrets?.includes(tls.passphrase) === false) {
    const hint = "it names an entry of the job's `secrets`; the value itself never stands here";
    issues.push({ path: ["tls", "passphrase"], message: `the job has no secret ${tls.passphrase}`, hint });
  }
  if (/^http:/i.test(url))
    issues.push({ path: ["tls"], message: "the address begins with http://, so there is no TLS", hint: "use https://" });
  return issues;
}
