/**
 * One POST with a deadline for all of it, to an address that the policy has judged. Redirects are not followed: they could lead anywhere, and a
 * POST behind one is somebody else's. Of the answer's body only the beginning is read.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Post } from "./formats/format.ts";
import type { AddressPolicy } from "./target-addresses.ts";

export type HttpAnswer = {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
  readonly location: string | undefined;
};

const MAX_BODY = 8192;

/** Throws `channel/refused` for addresses, `channel/failed` for everything that happens on the way. */
export async function httpPost(
  deps: { clock: Pick<Clock, "after">; addresses: AddressPolicy },
  post: Post,
  options: { userAgent: string; timeoutMs: number },
): Promise<HttpAnswer> {
  if (!URL.canParse(post.url) || !/^https?:$/.test(new URL(post.url).protocol)) {
    throw new AppError("channel/secret", "the channel's url is no address that begins with http:// or https://", {
      hint: "look at the file or variable that it comes from",
    });
  }
  const url = new URL(post.url);
  const deadline = new AbortController();
  const cancel = deps.clock.after(options.timeoutMs, () => deadline.abort());
  try {
    const addresses = await Promise.race([deps.addresses.resolve(url.hostname), aborted(deadline.signal)]);
    return await send(url, addresses, post, options.userAgent, deadline.signal);
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const why = deadline.signal.aborted ? `no answer within ${options.timeoutMs / 1000} s` : reasonOf(thrown);
    throw new AppError("channel/failed", `${url.host}: ${why}`, { cause: thrown });
  } finally {
    cancel();
  }
}

function send(url: URL, addresses: readonly string[], post: Post, userAgent: string, signal: AbortSignal): Promise<HttpAnswer> {
  const body = Buffer.from(post.body);
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, {
    method: "POST",
    headers: {
      ...post.headers,
      "content-type": "application/json; charset=utf-8",
      "content-length": String(body.length),
      "user-agent": userAgent,
    },
    // A connection of its own, to a judged address; TLS and Host still name the target.
    agent: false,
    lookup: judged(addresses),
    signal,
  });
  request.on("error", reject);
  request.on("response", (response) => {
    const { "retry-after": retryAfter, location } = response.headers;
    let text = "";
    const finish = () => resolve({ status: response.statusCode ?? 0, body: text, retryAfter, location });
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
      if (text.length < MAX_BODY) return;
      text = text.slice(0, MAX_BODY);
      finish();
      request.destroy();
    });
    response.on("end", finish);
    response.on("error", reject);
  });
  request.end(body);
  return promise;
}

/** A resolver that knows only these addresses. */
function judged(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first = { address: "", family: 4 }] = found;
  return (_host, options, done) => (options.all === true ? done(null, found) : done(null, first.address, first.family));
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true }));
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was cut",
  EHOSTUNREACH: "the host is not reachable",
  ENETUNREACH: "the network is not reachable",
  ETIMEDOUT: "the connection timed out",
  EPIPE: "the connection was cut",
};

/** Why a connection failed, for people. */
export function reasonOf(thrown: unknown): string {
  const outer = asError(thrown);
  const error = outer instanceof AggregateError && outer.errors.length > 0 ? asError(outer.errors[0]) : outer;
  return REASONS[(error as NodeJS.ErrnoException).code ?? ""] ?? error.message;
}
