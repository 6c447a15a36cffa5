/** One try to send a delivery to its channel, and exactly what came of it. Never throws, and never tells a secret. */
import { type Clock, fromIso } from "fleetcron-shared/base/clock";
import type { ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import type { ChannelSpec } from "fleetcron-shared/model/channel";
import type { Delivery } from "fleetcron-shared/model/notice";
import { dingtalkPost, dingtalkRefusal } from "./formats/dingtalk.ts";
import { mailOf } from "./formats/email.ts";
import { feishuPost, feishuRefusal } from "./formats/feishu.ts";
import { type Answer, type Parcel, type Post, type Refusal, refusalByStatus } from "./formats/format.ts";
import { slackPost } from "./formats/slack.ts";
import { webhookPost } from "./formats/webhook.ts";
import { wecomPost, wecomRefusal } from "./formats/wecom.ts";
import { type HttpAnswer, httpPost } from "./http-post.ts";
import { messageOf } from "./message.ts";
import { openSecrets, type SecretSource, type SecretsInUse } from "./secrets.ts";
import { sendMail } from "./smtp.ts";
import type { AddressPolicy } from "./target-addresses.ts";
import { cut } from "./words.ts";

export type SendDeps = {
  readonly clock: Pick<Clock, "now" | "mono" | "after">;
  readonly addresses: AddressPolicy;
  readonly secrets: SecretSource;
  readonly version: string;
  /** For one try, all of it. */
  readonly timeoutMs: number;
};

export type Sent = {
  readonly ok: boolean;
  /** What came back, in one line. */
  readonly text: string;
  readonly tookMs: number;
  /** HTTP only. */
  readonly status?: number;
  /** What can be done about it. */
  readonly hint?: string;
  readonly code?: ErrorCode;
  /** The target says that it will never take this one. */
  readonly final?: boolean;
  /** The target asks for so much patience. */
  readonly retryAfterMs?: number;
};
type Result = Omit<Sent, "tookMs">;

/** The target has understood, and will not take this however often it comes. */
const FINAL_STATUS: readonly number[] = [400, 405, 406, 410, 411, 413, 414, 415, 422];
const MAX_TEXT = 400;

export async function send(deps: SendDeps, spec: ChannelSpec, delivery: Delivery): Promise<Sent> {
  const began = deps.clock.mono();
  const secrets = openSecrets(deps.secrets);
  let result: Result;
  try {
    result = await sendAs(deps, secrets, spec, delivery);
  } catch (thrown) {
    const { code, message, hint } = asAppError(thrown);
    result = { ok: false, text: message, code, ...(hint === undefined ? {} : { hint }) };
  }
  return {
    ...result,
    text: cut(secrets.scrub(result.text), MAX_TEXT),
    ...(result.hint === undefined ? {} : { hint: secrets.scrub(result.hint) }),
    tookMs: Math.round(deps.clock.mono() - began),
  };
}

async function sendAs(deps: SendDeps, secrets: SecretsInUse, spec: ChannelSpec, delivery: Delivery): Promise<Result> {
  const output = spec.output === true;
  const parcel: Parcel = { delivery, message: messageOf(delivery, output), nowMs: deps.clock.now() };
  const { message } = parcel;
  const { webhook, feishu, dingtalk, wecom, slack, email } = spec;
  const optional = (what: string, value: Parameters<SecretsInUse["read"]>[1] | undefined) =>
    value === undefined ? undefined : secrets.read(what, value);
  const post = (made: Post, refusal: (answer: Answer) => Refusal | undefined) => sendPost(deps, made, refusal);

  if (webhook !== undefined) {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(webhook.headers ?? {}))
      headers[name.toLowerCase()] = await secrets.read(`header ${name}`, value);
    const [url, secret] = [await secrets.read("url", webhook.url), await optional("secret", webhook.secret)];
    return post(webhookPost(parcel, { url, secret, headers, output }), refusalByStatus);
  }
  if (slack !== undefined) return post(slackPost(message, await secrets.read("url", slack.url)), refusalByStatus);
  if (wecom !== undefined) return post(wecomPost(message, await secrets.read("url", wecom.url)), wecomRefusal);
  const signing = feishu ?? dingtalk;
  if (signing !== undefined) {
    const options = { url: await secrets.read("url", signing.url), secret: await optional("secret", signing.secret) };
    return feishu !== undefined ? post(feishuPost(parcel, options), feishuRefusal) : post(dingtalkPost(parcel, options), dingtalkRefusal);
  }
  if (email !== undefined) {
    const pass = await optional("password", email.password);
    const security = email.security ?? (email.port === 465 ? "tls" : "starttls");
    const port = email.port ?? (security === "tls" ? 465 : 587);
    const login = email.user === undefined || pass === undefined ? undefined : { user: email.user, pass };
    const said = await sendMail(deps, mailOf(parcel, email), { host: email.host, port, security, login }, deps.timeoutMs);
    return { ok: true, text: said };
  }
  throw new AppError("internal/bug", `the channel ${delivery.channel} is of no kind`);
}

async function sendPost(deps: SendDeps, post: Post, refusal: (answer: Answer) => Refusal | undefined): Promise<Result> {
  const answer = await httpPost(deps, post, { userAgent: `Fleetcron/${deps.version}`, timeoutMs: deps.timeoutMs });
  const { status } = answer;
  const said = answer.body.trim() === "" ? "" : `: ${answer.body.trim()}`;
  const refused = refusal(answer);
  if (refused === undefined) return { ok: true, text: `HTTP ${status}${said}`, status };
  if (status >= 300 && status <= 399) {
    return {
      ...{ ok: false, status, code: "channel/failed" },
      text: `HTTP ${status}: the target answers with a redirect${answer.location === undefined ? "" : ` to ${hostOf(answer.location)}`}, which is not followed`,
      hint: "give the channel the address where the messages are to go in the end",
    };
  }
  const retryAfterMs = patience(answer, deps.clock.now()) ?? refused.retryAfterMs;
  return {
    ...{ ok: false, status, code: "channel/failed", text: refused.text + said, final: FINAL_STATUS.includes(status) },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** `Retry-After` as seconds or as a date. */
export function patience({ retryAfter }: Pick<HttpAnswer, "retryAfter">, nowMs: number): number | undefined {
  if (retryAfter === undefined) return undefined;
  if (/^\d{1,9}$/.test(retryAfter.trim())) return Number(retryAfter) * 1000;
  const at = fromIso(retryAfter.trim()) ?? Date.parse(retryAfter);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** The rest of an address may be a secret. */
function hostOf(location: string): string {
  return URL.canParse(location) ? new URL(location).host : "another place of the same host";
}
