/** Where a redirect leads, and what goes there: the method by the rules of RFC 9110, credentials and what is secret only within one origin. Pure. */
import { failed } from "./failure.ts";
import { withoutUser } from "./fill.ts";
import type { HttpRequest } from "./request.ts";

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** The absolute address that a response sends to; undefined when it is no redirect. Throws HttpFailure for one that cannot be followed. */
export function redirectOf(status: number, location: string | undefined, from: { url: URL; shown: string }): URL | undefined {
  if (!REDIRECTS.includes(status) || location === undefined) return undefined;
  if (!URL.canParse(location, from.url.href)) throw failed("http/redirects", `${from.shown} redirects to what is no address`);
  const url = new URL(location, from.url.href);
  if (!/^https?:$/.test(url.protocol))
    throw failed("http/redirects", `${from.shown} redirects to an address that begins with ${url.protocol}`);
  return url;
}

/** The request for `to`. `mask` takes secrets out of what is shown. */
export function follow(request: HttpRequest, status: number, to: URL, mask: (text: string) => string): HttpRequest {
  const { method, url: from } = request;
  const url = new URL(to);
  for (const part of ["username", "password", "hash"] as const) url[part] = "";
  const asGet = (status === 303 && method !== "HEAD") || ((status === 301 || status === 302) && method === "POST");
  const other = url.origin !== from.origin;
  const body = asGet ? undefined : request.body;
  const shown = withoutUser(mask(url.href));
  if (other && body?.secret === true)
    throw failed("http/redirects", `${request.shown} redirects to ${shown}, which would be sent a body with a secret of the job`);
  const headers = request.headers.filter(
    (header) =>
      !(other && (header.private || /^host$/i.test(header.name))) && !(asGet && /^(content-.*|idempotency-key)$/i.test(header.name)),
  );
  const { ca } = request.tls;
  // Another origin is not the one that the certificate and the name are for.
  const tls = other ? { ...(ca === undefined ? {} : { ca }) } : request.tls;
  return { ...request, method: asGet && method !== "GET" ? "GET" : method, url, shown, headers, body, tls };
}

/** Throws HttpFailure when the way has been there before, or is too long. `way`: the requests so far, the new one last. */
export function checkWay(way: readonly HttpRequest[], maxRedirects: number): void {
  const last = way.at(-1);
  const same = way.findIndex((one) => one.method === last?.method && one.url.href === last?.url.href);
  const path = way.map((one) => one.shown).join(" → ");
  if (same < way.length - 1) throw failed("http/redirects", `the redirects lead in a circle: ${path}`);
  if (way.length - 1 > maxRedirects) throw failed("http/redirects", `more than ${maxRedirects} redirects (maxRedirects): ${path}`);
}
