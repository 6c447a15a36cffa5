/** A job's http spec with its variables put in and its files read: what is sent, to whom, and what of it is secret. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { asError } from "fleetcron-shared/base/errors";
import type { HttpSpec } from "fleetcron-shared/model/runners/http-spec";
import type { SessionContext } from "../runner.ts";
import { failed } from "./failure.ts";
import { fillHeader, fillJson, fillText, fillUrl } from "./fill.ts";

/** `private`: a credential, which another origin must not get. */
export type Header = { readonly name: string; readonly value: string; readonly private: boolean };

export type Tls = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly serverName?: string;
};

export type HttpRequest = {
  readonly method: string;
  readonly url: URL;
  readonly shown: string;
  readonly headers: readonly Header[];
  readonly body: { readonly bytes: Buffer; readonly secret: boolean } | undefined;
  readonly proxy: { readonly url: URL; readonly shown: string } | undefined;
  readonly tls: Tls;
};

const PRIVATE_HEADER = /authori[sz]ation|cookie|token|secret|api-?key|password|signature/i;
const MAX_PEM_BYTES = 1024 * 1024;

/** Throws HttpFailure. */
export async function makeRequest(context: SessionContext, spec: HttpSpec, version: string): Promise<HttpRequest> {
  const { url, shown } = fillUrl(context, "run.http.url", spec.url);
  const { method = "GET" } = spec;
  const headers = new Map<string, Header>();
  for (const [name, template] of Object.entries(spec.headers ?? {})) {
    const { text, secret } = fillHeader(context, `run.http.headers.${name}`, template);
    headers.set(name.toLowerCase(), { name, value: text, private: secret || PRIVATE_HEADER.test(name) });
  }
  const add = (name: string, value: string, isPrivate = false) => {
    if (!headers.has(name.toLowerCase())) headers.set(name.toLowerCase(), { name, value, private: isPrivate });
  };
  const body = bodyOf(context, spec, headers.get("content-type")?.value);
  if (body !== undefined) add("Content-Type", body.type);
  if (url.username !== "" || url.password !== "") add("Authorization", basic(url), true);
  add("User-Agent", `fleetcron/${version}`);
  add("Accept", "*/*");
  add("Accept-Encoding", "gzip, br, deflate");
  add("X-Fleetcron-Execution", `${context.execution}-${context.attempt}`);
  // The same for each attempt: that is what lets a server see that the work was done already. Other methods may be repeated anyway.
  if (method === "POST" || method === "PATCH") add("Idempotency-Key", context.execution);
  url.username = "";
  url.password = "";
  url.hash = "";
  const proxy = spec.proxy === undefined ? undefined : fillUrl(context, "run.http.proxy", spec.proxy);
  if (proxy !== undefined && proxy.url.protocol !== "http:")
    throw failed("runner/spec", "run.http.proxy: only http:// is a proxy that can be used");
  return { method, url, shown, headers: [...headers.values()], body, proxy, tls: await readTls(context, spec.tls ?? {}) };
}

/** The value of a header that names user and password of an address. */
export function basic({ username, password }: URL): string {
  return `Basic ${Buffer.concat([plain(username), Buffer.from(":"), plain(password)]).toString("base64")}`;
}

/** Percent-encoded bytes; a % that begins none stands for itself. */
function plain(encoded: string): Buffer {
  const bytes = encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1");
}

function bodyOf(
  context: SessionContext,
  { body }: HttpSpec,
  contentType: string | undefined,
): { bytes: Buffer; secret: boolean; type: string } | undefined {
  if (body === undefined) return undefined;
  const place = "run.http.body";
  if (typeof body === "string") {
    const type = contentType ?? "text/plain; charset=utf-8";
    const { text, secret } = fillText(context, place, body, type);
    return { bytes: Buffer.from(text), secret, type };
  }
  const { value, secret } = fillJson(context, place, body);
  return { bytes: Buffer.from(JSON.stringify(value)), secret, type: "application/json" };
}

async function readTls({ secrets }: SessionContext, { ca, cert, key, passphrase, serverName }: NonNullable<HttpSpec["tls"]>): Promise<Tls> {
  if (passphrase !== undefined && !Object.hasOwn(secrets, passphrase))
    throw failed("runner/spec", `run.http.tls.passphrase: the job has no secret ${passphrase}`);
  return {
    ...(ca === undefined ? {} : { ca: await readPem("ca", ca) }),
    ...(cert === undefined ? {} : { cert: await readPem("cert", cert) }),
    ...(key === undefined ? {} : { key: await readPem("key", key) }),
    ...(passphrase === undefined ? {} : { passphrase: secrets[passphrase] ?? "" }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** A regular file of reasonable size: a device or a pipe would never end. */
async function readPem(field: string, file: string): Promise<string> {
  try {
    // Without waiting for somebody to open the other end, if it is a pipe.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > MAX_PEM_BYTES) throw new Error("it is no file of at most 1 MiB");
    return await handle.readFile("utf8");
  } catch (thrown) {
    throw failed("http/tls", `run.http.tls.${field}: ${file} cannot be read on this host: ${asError(thrown).message}`);
  }
}
