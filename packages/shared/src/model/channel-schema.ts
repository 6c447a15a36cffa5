/** The shape of a channel and what its fields mean together. No message repeats a value: it may be a secret. */
import { z } from "zod";
import { choice, fields, flag, list, mapping, type ShapeIssue, wholeNumber } from "../base/zod-issues.ts";
import {
  CHANNEL_KINDS,
  type ChannelSpec,
  type EmailChannel,
  kindsOf,
  type RobotChannel,
  SECRET_MASK,
  type SecretText,
  type SigningRobotChannel,
  type WebhookChannel,
} from "./channel.ts";
import { durationField, line, paragraphs } from "./job-fields.ts";

const ADDRESS = /^[^\s@<>,;]+@[^\s@<>,;]+$/;
const SECRET_HINT = "write { file: NAME } or { env: FLEETCRON_SECRET_NAME }, or the text itself";

/** Variables that channels may name: nothing else of a master's environment can be sent anywhere. */
export const SECRET_ENV_PATTERN = /^FLEETCRON_SECRET_[A-Za-z0-9_]+$/;

/** A secret: text, or where each master finds it. Every part says the same, because no message may repeat what was given. */
function secretText(what: string, isText: (text: string) => boolean) {
  const error = ({ input }: { readonly input?: unknown }) =>
    typeof input === "string" && input.includes(SECRET_MASK)
      ? "is a masked value\nwrite the secret itself, or keep it in a file: { file: NAME }"
      : `is not ${what}\n${SECRET_HINT}`;
  const text = z
    .string({ error })
    .min(1, { error })
    .max(4096, { error })
    .refine((value) => isText(value) && !value.includes(SECRET_MASK) && !/[\r\n\0]/.test(value), { error });
  const file = fields({
    file: z.string({ error }).min(1, { error }).max(1000, { error }).describe("A file of the masters' folder for secrets."),
  });
  const env = fields({
    env: z
      .string({ error })
      .regex(SECRET_ENV_PATTERN, { error: "is no variable that channels may name\nits name begins with FLEETCRON_SECRET_" })
      .describe("A variable of the masters' environment; its name begins with FLEETCRON_SECRET_."),
  });
  return z.union([text, file, env], { error }) satisfies z.ZodType<SecretText>;
}

const secret = secretText("a secret", () => true);
const url = secretText("an address that begins with http:// or https://", isHttpUrl);
const address = z
  .string({ error: "is no mail address" })
  .max(320, { error: "is no mail address" })
  .regex(ADDRESS, { error: "is no mail address\nsuch as ops@example.org" });

const robot = fields({ url: url.describe("The robot's address, which is its password.") }) satisfies z.ZodType<RobotChannel>;
const signingRobot = fields({
  url: url.describe("The robot's address, which is its password."),
  secret: secret.describe("The robot's signing secret, if it has one.").exactOptional(),
}) satisfies z.ZodType<SigningRobotChannel>;

const webhook = fields({
  url: url.describe("Where the JSON is posted to."),
  secret: secret.describe("Signs each message (Standard Webhooks: HMAC-SHA256 in `webhook-signature`).").exactOptional(),
  headers: mapping(line("a header name", 100).regex(/^[A-Za-z0-9-]+$/, { error: "is no header name" }), secret, "header names and values")
    .describe("Further headers, such as authorization.")
    .exactOptional(),
}) satisfies z.ZodType<WebhookChannel>;

const email = fields({
  host: line("a host name", 253).describe("The SMTP server."),
  port: wholeNumber(1, 65_535).describe("Default: 465 with security tls, else 587.").exactOptional(),
  security: choice(["starttls", "tls", "none"])
    .describe("starttls (default; a server without it is not spoken to), tls from the first byte (default with port 465), or none.")
    .exactOptional(),
  user: line("a user", 320).describe("To log in with.").exactOptional(),
  password: secret.describe("To log in with.").exactOptional(),
  from: address.describe("The sender."),
  to: list(address, "mail addresses", { min: 1, max: 50 }).describe("The receivers."),
}) satisfies z.ZodType<EmailChannel>;

/** The schema of a channel as it stands in a file, in REST and in etcd. */
export const channelSchema = fields({
  description: paragraphs("a description", 1000).describe("For people.").exactOptional(),
  atMostEvery: durationField(0, 86_400_000)
    .describe("Messages are at least so far apart; what comes meanwhile goes together in the next. Default: 30s.")
    .exactOptional(),
  output: flag().describe("true: messages carry the end of the output. Default: false.").exactOptional(),
  webhook: webhook.describe("JSON to any HTTP server.").exactOptional(),
  feishu: signingRobot.describe("A custom robot of Feishu or Lark.").exactOptional(),
  dingtalk: signingRobot.describe("A custom robot of DingTalk.").exactOptional(),
  wecom: robot.describe("A group robot of WeCom.").exactOptional(),
  slack: robot.describe("An incoming webhook of Slack, or of what takes its messages.").exactOptional(),
  email: email.describe("Mail by SMTP.").exactOptional(),
}) satisfies z.ZodType<ChannelSpec>;

/** What is wrong with the meaning of a well-shaped channel; paths begin inside of it. */
export function checkChannel(spec: ChannelSpec): ShapeIssue[] {
  const kinds = kindsOf(spec);
  const issues: ShapeIssue[] = [];
  if (kinds.length !== 1) {
    const message = kinds.length === 0 ? "says not where to send to" : `is ${kinds.join(" and ")} at once`;
    issues.push({ path: [], message, hint: `exactly one of ${CHANNEL_KINDS.join(", ")} is needed` });
  }
  const { email: mail } = spec;
  if (mail !== undefined && (mail.user === undefined) !== (mail.password === undefined)) {
    issues.push({ path: ["email"], message: "has one of user and password", hint: "both are needed to log in" });
  }
  if (mail?.password !== undefined && mail.security === "none") {
    issues.push({ path: ["email", "security"], message: "would send the password in clear", hint: "use starttls or tls" });
  }
  return issues;
}

function isHttpUrl(text: string): boolean {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  return parsed?.protocol === "http:" || parsed?.protocol === "https:";
}
