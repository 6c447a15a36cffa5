/** One call from its request to its end: connect, send, follow redirects, log what comes, and judge it. Throws HttpFailure for everything that goes wrong. */

import { formatDuration, parseDuration } from "fleetcron-shared/base/duration";
import { asError } from "fleetcron-shared/base/errors";
import type { HttpSpec } from "fleetcron-shared/model/runners/http-spec";
import { expectedWords, isExpected } from "fleetcron-shared/model/runners/http-status";
import type { SessionDeps, SessionEnd } from "../runner.ts";
import { matchBody } from "./body-match.ts";
import { type ConnectDeps, clientOn, hostShown, openConnection, proxyAuthorization } from "./connection.ts";
import { exchangeFailure, failed } from "./failure.ts";
import { MASK } from "./fill.ts";
import { checkWay, follow, redirectOf } from "./redirect.ts";
import type { HttpRequest } from "./request.ts";
import { type Answer, type HttpLimits, headerLines, one, readBody, retryAfterMs, statusLine } from "./response.ts";

const CONNECT_MS = 10_000;
const IDLE_MS = 60_000;
const MAX_REDIRECTS = 5;
const MATCH_MS = 2000;

export type CallDeps = Omit<ConnectDeps, "clock"> & {
  readonly session: SessionDeps;
  readonly signal: AbortSignal;
  readonly limits: HttpLimits;
  /** Takes secrets out of a text. */
  readonly mask: (text: string) => string;
};

/** `exit` 0, or a failure with what the server asks for; throws HttpFailure for everything before that. */
export async function runCall(deps: CallDeps, first: HttpRequest, spec: HttpSpec): Promise<SessionEnd> {
  const { maxRedirects = MAX_REDIRECTS } = spec;
  const way = [first];
  for (let request = first; ; ) {
    using exchange = await send(deps, request, spec);
    const { answer } = exchange;
    const to = maxRedirects === 0 ? undefined : redirectOf(answer.status, one(answer.headers, "location"), request);
    if (to === undefined) return await receive(deps, request, answer, spec);
    const next = follow(request, answer.status, to, deps.mask);
    await deps.session.write(Buffer.from(`${statusLine(answer)}, to ${next.shown}\n`));
    way.push(next);
    checkWay(way, maxRedirects);
    request = next;
  }
}

type Exchange = { readonly answer: Answer; [Symbol.dispose](): void };

async function send(deps: CallDeps, request: HttpRequest, spec: HttpSpec): Promise<Exchange> {
  const { session, signal } = deps;
  const { method, url, proxy, body } = request;
  const began = session.clock.mono();
  const idleMs = duration(spec.idleTimeout, IDLE_MS);
  const connectMs = duration(spec.connectTimeout, CONNECT_MS);
  const { socket, absolute, fault } = await openConnection({ ...deps, clock: session.clock }, request, connectMs, signal);
  const client = clientOn(socket, absolute && proxy !== undefined ? proxy.url.origin : url.origin, {
    headersTimeout: idleMs,
    bodyTimeout: idleMs,
  });
  const close = () => {
    client.destroy().catch(() => {});
    socket.destroy();
  };
  const headers: Record<string, string> = absolute && proxy !== undefined ? proxyAuthorization(proxy) : {};
  for (const header of request.headers) headers[header.name] = header.value;
  if (!request.headers.some((header) => /^host$/i.test(header.name))) headers.Host = url.host;
  // From here on the server may have got it.
  session.begun(`${method} ${request.shown}`);
  try {
    const answer = await client.request({
      ...{ method: method as "GET", path: absolute ? url.href : url.pathname + url.search, headers, signal },
      // One request, one connection: it says `Connection: close`.
      ...{ body: body?.bytes ?? null, reset: true },
    });
    const { statusCode: status, statusText: reason } = answer;
    const tookMs = session.clock.mono() - began;
    return { answer: { status, reason, tookMs, headers: answer.headers, body: answer.body }, [Symbol.dispose]: close };
  } catch (thrown) {
    close();
    throw exchangeFailure(fault() ?? thrown, whereOf(request), formatDuration(idleMs));
  }
}

/** The last response: into the log, and judged. An unexpected status is told as such also when the body cannot be read to its end. */
async function receive(deps: CallDeps, request: HttpRequest, answer: Answer, spec: HttpSpec): Promise<SessionEnd> {
  const { session, signal, limits } = deps;
  const { where } = whereOf(request);
  const expected = isExpected(spec.expectStatus, answer.status);
  await session.write(Buffer.from(deps.mask(`${statusLine(answer)}\n${headerLines(answer)}\n`)));
  let head: Buffer;
  try {
    head = await readBody({ write: session.write, where, limits, signal }, answer);
  } catch (thrown) {
    const failure = exchangeFailure(thrown, whereOf(request), formatDuration(duration(spec.idleTimeout, IDLE_MS)));
    if (expected || signal.aborted) throw failure;
    return unexpected(session, request, answer, spec);
  }
  if (!expected) return unexpected(session, request, answer, spec);
  if (spec.expectBody !== undefined) await checkBody(deps, request, textOf(head, one(answer.headers, "content-type")), spec.expectBody);
  return { outcome: { type: "exit", code: 0 } };
}

function unexpected({ clock }: SessionDeps, request: HttpRequest, answer: Answer, spec: HttpSpec): SessionEnd {
  const { status, reason } = answer;
  const error = `${request.method} ${request.shown}: ${status}${reason === "" ? "" : ` ${reason}`}; expected: ${expectedWords(spec.expectStatus)}`;
  const wait = retryAfterMs(answer, clock.now());
  return { outcome: failed("http/status", error).outcome, ...(wait === undefined ? {} : { retryAfterMs: wait }) };
}

async function checkBody({ session, signal }: CallDeps, request: HttpRequest, text: string, pattern: string): Promise<void> {
  let matches: boolean | "tooLong";
  try {
    matches = await matchBody({ clock: session.clock }, pattern, text, { limitMs: MATCH_MS, signal });
  } catch (thrown) {
    throw failed("runner/spec", `run.http.expectBody: it cannot be applied to this body: ${asError(thrown).message}`);
  }
  if (matches === "tooLong")
    throw failed(
      "runner/spec",
      `run.http.expectBody: it takes more than ${MATCH_MS / 1000} s on this body; avoid repetitions within repetitions`,
    );
  if (!matches) throw failed("http/body", `${request.method} ${request.shown}: the body does not match expectBody, /${pattern}/`);
}

function textOf(bytes: Buffer, contentType = ""): string {
  const [, charset = "utf-8"] = /;\s*charset="?([^\s";]+)/i.exec(contentType) ?? [];
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

function whereOf(request: HttpRequest): { where: string; detail: boolean } {
  return { where: `${request.method} ${request.shown}`, detail: hostShown(request) !== MASK };
}

function duration(text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : (parseDuration(text) ?? fallback);
}
