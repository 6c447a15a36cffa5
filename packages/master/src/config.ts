/** The master's settings: `/etc/fleetcron/master.yaml`, FLEETCRON_MASTER_… and flags (see `fleetcron serve --help`). */
import { isIP } from "node:net";
import { AppError } from "fleetcron-shared/base/errors";
import { durationMs, durationSetting, etcdSettings, logLevelSetting } from "fleetcron-shared/base/settings";
import { expected } from "fleetcron-shared/base/zod-issues";
import { isAllowEntry } from "fleetcron-shared/net/address-policy";
import { z } from "zod";
import { type OidcConfig, oidcConfig, parseRoleRow, ROW_FORM } from "./access/oidc-setting.ts";
import { type HistorySetting, parseHistory } from "./history/setting.ts";

export const masterSettings = z.strictObject({
  ...etcdSettings,
  listen: z.string().default("127.0.0.1:7800").describe("host:port of the REST API; port 0 takes a free one"),
  tlsCert: z
    .string()
    .exactOptional()
    .describe("file with the certificate of the REST API (PEM, with those of its issuers); read again on SIGHUP"),
  tlsKey: z.string().exactOptional().describe("file with the key of the certificate"),
  insecurePlain: z.boolean().default(false).describe("listen beyond this host without TLS: put a TLS proxy in front"),
  sessionMax: durationSetting("12h", 60_000).describe("how long a console session lasts at most"),
  sessionIdle: durationSetting("1h", 60_000).describe("how long a console session lasts without being used"),
  publicUrl: z
    .string()
    .exactOptional()
    .describe("address under which people reach the console, such as https://fleet.example.com (default: as their browser says)"),
  oidcIssuer: z.string().exactOptional().describe("OpenID provider that people may log in to the console through: its issuer"),
  oidcClientId: z.string().min(1).exactOptional().describe("id of this master's client at the OpenID provider"),
  oidcClientSecretFile: z.string().exactOptional().describe("file with the secret of this client"),
  oidcRoles: z
    .array(z.string().refine((text) => parseRoleRow(text) !== undefined, { error: expected(ROW_FORM) }))
    .default([])
    .describe(`who of the OpenID provider has which role, the first row that fits: ${ROW_FORM}`),
  oidcName: z.string().min(1).max(60).default("OpenID").describe("what the login page calls the OpenID provider"),
  oidcScopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: expected("a scope, without spaces") }))
    .default(["profile", "email"])
    .describe("what the OpenID provider is asked to tell, beside openid"),
  oidcUserClaim: z
    .string()
    .min(1)
    .default("preferred_username")
    .describe("claim that people are called by in decisions and the audit log; its values must be unique at the OpenID provider"),
  auditRetention: durationSetting("90d", 3_600_000).describe("how long entries of the audit log are kept, the newest 20,000 at most"),
  dataDir: z.string().default(".fleetcron").describe("folder for the admin token of the first start and the cluster's id"),
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { error: expected("letters, digits, dots, dashes and underscores, at most 63") })
    .exactOptional()
    .describe("this master's name among masters; default: hostname and port"),
  timezone: z
    .string()
    .refine(isTimezone, { error: expected("an IANA time zone such as Europe/Berlin") })
    .default("UTC")
    .describe("time zone of rules that name none; kept in etcd by the cluster's first start"),
  sessionTtl: durationSetting("5s", 2000).describe("how long after its last sign of life a leader is replaced"),
  lostAfter: durationSetting("60s", 0).describe("how long a node is gone before its executions count as lost"),
  missedAfter: durationSetting("60s", 1000).describe(
    "how long after its time, beyond jitter and holdFor, a tick that nobody has reported counts as missed",
  ),
  notifyAllow: z
    .array(z.string().refine(isAllowEntry, { error: expected("private, a host name, an address, or a network such as 10.1.0.0/16") }))
    .default([])
    .describe("targets of notifications beside public addresses: host names, addresses, networks, or private for all"),
  notifySecretsDir: z.string().default("/etc/fleetcron/secrets").describe("folder of the files that channels name for their secrets"),
  notifyTimeout: durationSetting("15s", 100).describe("how long one try to deliver a notification may take"),
  rateLimit: z
    .int()
    .min(0)
    .max(10_000_000)
    .default(30_000)
    .describe("how many requests one token (or, without one, one address) may make per minute at this master (0: no limit)"),
  eventReaders: z.int().min(0).max(10_000).default(200).describe("how many readers may follow /api/v1/events of this master at once"),
  history: z
    .string({ error: expected("off, sqlite, sqlite:PATH or postgres://…") })
    .default("sqlite")
    .describe(
      "where records and runs are kept beyond etcd: off, sqlite (history.db in dataDir), sqlite:PATH, or postgres://USER:PASSWORD@HOST/DATABASE",
    ),
  historyRetention: durationSetting("90d", 3_600_000).describe("how long the history keeps records and runs after their end"),
  logLevel: logLevelSetting,
  readyFile: z.string().exactOptional().describe("file to write {url, token, etcd, master, pid} to once the master is ready"),
});

export type MasterSettings = z.output<typeof masterSettings>;

/** Settings as the master computes with them. */
export type MasterConfig = {
  readonly prefix: string;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly name: string | undefined;
  readonly timezone: string;
  readonly sessionTtlMs: number;
  readonly lostAfterMs: number;
  readonly missedAfterMs: number;
  readonly notifyAllow: readonly string[];
  readonly notifySecretsDir: string;
  readonly notifyTimeoutMs: number;
  readonly limits: { readonly eventReaders: number; readonly requestsPerMinute: number };
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly publicUrl: URL | undefined;
  readonly oidc: OidcConfig | undefined;
  readonly sessionTimes: { readonly maxMs: number; readonly idleMs: number };
  readonly auditRetentionMs: number;
  readonly history: HistorySetting;
  readonly historyRetentionMs: number;
  /** Shown by `/info`. */
  readonly etcdEndpoints: readonly string[];
};

/** Throws `config/invalid` for a listen address that is none, that is open to others without TLS or `insecurePlain`, and half a pair of TLS files. */
export function masterConfig(settings: MasterSettings): MasterConfig {
  const match = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/.exec(settings.listen);
  const host = match?.groups?.v6 ?? match?.groups?.host;
  const port = Number(match?.groups?.port);
  if (host === undefined || !(port <= 65_535)) {
    throw new AppError("config/invalid", `the listen address "${settings.listen}" is not of the form host:port`, {
      hint: "such as 127.0.0.1:7800 or [::1]:7800",
    });
  }
  const { tlsCert, tlsKey } = settings;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const [there, missing] = tlsCert === undefined ? ["tlsKey", "tlsCert"] : ["tlsCert", "tlsKey"];
    throw new AppError("config/invalid", `${there} is set without ${missing}`, {
      hint: "TLS needs a certificate and its key: set both or none",
    });
  }
  const tls = tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey };
  if (!isLoopback(host) && tls === undefined && !settings.insecurePlain) {
    throw new AppError(
      "config/invalid",
      `the listen address ${settings.listen} is reachable from other hosts, and without TLS everybody between could read the tokens`,
      {
        hint: "set tlsCert and tlsKey, or listen on 127.0.0.1 behind a proxy that does TLS; --insecure-plain (insecurePlain: true) listens all the same",
      },
    );
  }
  return {
    prefix: settings.prefix,
    host,
    port,
    dataDir: settings.dataDir,
    name: settings.name,
    timezone: settings.timezone,
    sessionTtlMs: durationMs(settings.sessionTtl),
    lostAfterMs: durationMs(settings.lostAfter),
    missedAfterMs: durationMs(settings.missedAfter),
    notifyAllow: settings.notifyAllow,
    notifySecretsDir: settings.notifySecretsDir,
    notifyTimeoutMs: durationMs(settings.notifyTimeout),
    limits: { eventReaders: settings.eventReaders, requestsPerMinute: settings.rateLimit },
    tls,
    publicUrl: settings.publicUrl === undefined ? undefined : publicUrlOf(settings.publicUrl),
    oidc: oidcConfig(settings),
    sessionTimes: { maxMs: durationMs(settings.sessionMax), idleMs: durationMs(settings.sessionIdle) },
    auditRetentionMs: durationMs(settings.auditRetention),
    history: parseHistory(settings.history),
    historyRetentionMs: durationMs(settings.historyRetention),
    etcdEndpoints: settings.etcd,
  };
}

function publicUrlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url;
  throw new AppError("config/invalid", `publicUrl: "${text}" is not the address of a console`, {
    hint: "such as https://fleet.example.com, without a path",
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
