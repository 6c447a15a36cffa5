/**
 * Variables put into the texts of a call, each as data for its place: percent-encoded in an address, inside a string literal in JSON, one line in
 * a header. A value never adds to the structure of what it is put into. Pure; throws HttpFailure (`runner/spec`) without telling values.
 */
import { fillTemplate, parseTemplate, type TemplatePart } from "fleetcron-shared/model/runners/template";
import { failed } from "./failure.ts";

/** What stands in logs and errors for a secret. */
export const MASK = "***";
/** What a header may hold (RFC 9110); no line ends, so that a value cannot begin another header. */
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;

export type Variables = {
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
};

/** `secret`: a secret's value is in it. */
export type Filled = { readonly text: string; readonly secret: boolean };

/** `place`: the field, such as `run.http.url`. */
export function fill(variables: Variables, place: string, text: string, fit: (value: string, before: string) => string): Filled {
  const parts = partsOf(place, text);
  const { env, secrets } = variables;
  const filled = fillTemplate(parts, (name, before) => {
    const value = Object.hasOwn(secrets, name) ? secrets[name] : Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined)
      throw failed("runner/spec", `${place}: there is no variable ${name}; add it to the job's params, env or secrets`);
    try {
      return fit(value, before);
    } catch {
      throw failed("runner/spec", `${place}: the value of ${name} cannot be put there`);
    }
  });
  return { text: filled, secret: parts.some((part) => "name" in part && Object.hasOwn(secrets, part.name)) };
}

/** `shown` is the address for logs and errors: secrets are masked, user and password left out. */
export type FilledUrl = { readonly url: URL; readonly shown: string };

/** An address: a value at its very beginning is taken as it is (it names the server), every other is data and cannot add a path, query or host. */
export function fillUrl(variables: Variables, place: string, template: string): FilledUrl {
  const fit = (value: string, before: string) => (before === "" ? value : encodeURIComponent(value));
  const { text } = fill(variables, place, template, fit);
  const skeleton = fill(variables, place, template, (value, before) => (before === "" ? value : "1")).text;
  const hidden: Variables = { env: variables.env, secrets: Object.fromEntries(Object.keys(variables.secrets).map((name) => [name, MASK])) };
  const shown = withoutUser(fill(hidden, place, template, fit).text);
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text) || !URL.canParse(skeleton))
    throw failed("runner/spec", `${place}: "${shown}" is no address that begins with http:// or https://, with its variables put in`);
  const url = new URL(text);
  if (url.pathname.split("/").length !== new URL(skeleton).pathname.split("/").length)
    throw failed("runner/spec", `${place}: a variable's value, "." or "..", would lead to another path: ${shown}`);
  return { url, shown };
}

/** For logs: without user and password, and without what could steer a terminal. */
export function withoutUser(address: string): string {
  return address.replace(/^([a-z]+:\/\/)[^/?#\\]*@/i, "$1").replace(/\p{Cc}/gu, "");
}

export function fillHeader(variables: Variables, place: string, template: string): Filled {
  const filled = fill(variables, place, template, (value) => value);
  if (HEADER_TEXT.test(filled.text)) return { ...filled, text: filled.text.trim() };
  throw failed("runner/spec", `${place}: with its variables put in, it has a line break or another character that no header may hold`);
}

/** Text of the given content type. */
export function fillText(variables: Variables, place: string, template: string, contentType: string): Filled {
  if (/[/+]json\b/i.test(contentType)) return fillJsonText(variables, place, template);
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType)) return fill(variables, place, template, encodeURIComponent);
  return fill(variables, place, template, (value) => value);
}

/** A mapping or list: in its texts. Field names stay as they are. */
export function fillJson(variables: Variables, place: string, value: unknown): { value: unknown; secret: boolean } {
  if (typeof value === "string") {
    const { text, secret } = fill(variables, place, value, (one) => one);
    return { value: text, secret };
  }
  if (Array.isArray(value)) {
    const filled = value.map((one, index) => fillJson(variables, `${place}[${index}]`, one));
    return { value: filled.map((one) => one.value), secret: filled.some((one) => one.secret) };
  }
  if (typeof value !== "object" || value === null) return { value, secret: false };
  const filled = Object.entries(value).map(([name, one]) => [name, fillJson(variables, `${place}.${name}`, one)] as const);
  return { value: Object.fromEntries(filled.map(([name, one]) => [name, one.value])), secret: filled.some(([, one]) => one.secret) };
}

/** JSON that was written as text: in a string literal the value is escaped; elsewhere only a number, true, false or null can stand. */
function fillJsonText(variables: Variables, place: string, template: string): Filled {
  return fill(variables, place, template, (value, before) => {
    if (endsInString(before)) return JSON.stringify(value).slice(1, -1);
    if (/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(value)) return value;
    throw new Error("outside of quotes only a number, true, false or null");
  });
}

/** Whether a piece of JSON ends inside a string literal. */
function endsInString(json: string): boolean {
  let inside = false;
  for (let at = 0; at < json.length; at++) {
    if (json[at] === '"') inside = !inside;
    else if (inside && json[at] === "\\") at++;
  }
  return inside;
}

function partsOf(place: string, text: string): readonly TemplatePart[] {
  const parsed = parseTemplate(text);
  if ("parts" in parsed) return parsed.parts;
  throw failed("runner/spec", `${place}: ${parsed.problem}; a plain \${ is written $\${`);
}
