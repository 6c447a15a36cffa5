/**
 * Channels: where notices go, by name. The form that people write, that etcd holds and that outputs show with what is secret masked.
 * The schema is channel-schema.ts.
 */

/** Text that is not for everybody's eyes: the content of a file or a variable on each master's host, or, visible to whoever reads etcd, the text itself. */
export type SecretText = string | { readonly file: string } | { readonly env: string };

export type WebhookChannel = {
  readonly url: SecretText;
  /** Signs the body. */
  readonly secret?: SecretText;
  readonly headers?: Readonly<Record<string, SecretText>>;
};
/** A robot of a chat platform: its address is its password. */
export type RobotChannel = { readonly url: SecretText };
export type SigningRobotChannel = RobotChannel & { readonly secret?: SecretText };
export type MailSecurity = "tls" | "starttls" | "none";
export type EmailChannel = {
  readonly host: string;
  readonly port?: number;
  readonly security?: MailSecurity;
  readonly user?: string;
  readonly password?: SecretText;
  readonly from: string;
  readonly to: readonly string[];
};

/** Exactly one kind is there. */
export type ChannelSpec = {
  readonly description?: string;
  /** A message waits so long after the one before it; what comes meanwhile goes together. */
  readonly atMostEvery?: string;
  /** Whether messages carry the end of the output. */
  readonly output?: boolean;
  readonly webhook?: WebhookChannel;
  readonly feishu?: SigningRobotChannel;
  readonly dingtalk?: SigningRobotChannel;
  readonly wecom?: RobotChannel;
  readonly slack?: RobotChannel;
  readonly email?: EmailChannel;
};

/** The value of `channels/<name>`. */
export type StoredChannel = {
  readonly v: 1;
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly spec: ChannelSpec;
};

export const CHANNEL_KINDS = ["webhook", "feishu", "dingtalk", "wecom", "slack", "email"] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];
export const CHANNEL_DEFAULTS = { atMostEveryMs: 30_000 } as const;

/** What stands for a secret in every output. */
export const SECRET_MASK = "********";

/** The kinds that a spec names; a checked one names exactly one. */
export function kindsOf(spec: ChannelSpec): ChannelKind[] {
  return CHANNEL_KINDS.filter((kind) => spec[kind] !== undefined);
}

/** The spec as it may be shown: inline secrets are masked, of an inline address the host stays; files and variables keep their names. */
export function maskChannel(spec: ChannelSpec): ChannelSpec {
  const { webhook, email } = spec;
  const robot = <T extends SigningRobotChannel>(one: T): T => ({
    ...one,
    url: maskUrl(one.url),
    ...(one.secret === undefined ? {} : { secret: maskText(one.secret) }),
  });
  return {
    ...spec,
    ...(webhook === undefined
      ? {}
      : {
          webhook: {
            ...robot(webhook),
            ...(webhook.headers === undefined
              ? {}
              : { headers: Object.fromEntries(Object.entries(webhook.headers).map(([name, value]) => [name, maskText(value)])) }),
          },
        }),
    ...(spec.feishu === undefined ? {} : { feishu: robot(spec.feishu) }),
    ...(spec.dingtalk === undefined ? {} : { dingtalk: robot(spec.dingtalk) }),
    ...(spec.wecom === undefined ? {} : { wecom: robot(spec.wecom) }),
    ...(spec.slack === undefined ? {} : { slack: robot(spec.slack) }),
    ...(email === undefined
      ? {}
      : { email: { ...email, ...(email.password === undefined ? {} : { password: maskText(email.password) }) } }),
  };
}

function maskText(value: SecretText): SecretText {
  return typeof value === "string" ? SECRET_MASK : value;
}

function maskUrl(value: SecretText): SecretText {
  if (typeof value !== "string") return value;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined) return SECRET_MASK;
  const bare = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return bare ? value : `${url.protocol}//${url.host}/${SECRET_MASK}`;
}
