/** From a job's host to a place that the pool can connect to: the ssh config is read, secrets are put in, and equal places get equal keys. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import { parseDuration } from "fleetcron-shared/base/duration";
import type { SshSpec } from "fleetcron-shared/model/runners/ssh-spec";
import { type ConnectOptions, connectSsh } from "fleetcron-shared/ssh/connect";
import type { SshEnvironment } from "fleetcron-shared/ssh/environment";
import { type HostConfig, resolveHost } from "fleetcron-shared/ssh/host-config";
import type { SshLogin } from "fleetcron-shared/ssh/login";
import type { SessionContext } from "../runner.ts";
import type { Place } from "./pool.ts";

const IDLE_TIMEOUT_MS = 45_000;

/** Throws SshError `ssh/config`. */
export function placeOf(
  deps: { clock: Clock; environment: SshEnvironment },
  spec: SshSpec,
  context: Pick<SessionContext, "dataDir" | "secrets">,
  host: string,
): Place {
  const config = resolveHost(deps.environment, host);
  const connectTimeoutMs = durationOf(spec.connectTimeout);
  const options: ConnectOptions = {
    login: loginOf(spec, context.secrets),
    hostKeys: spec.hostKeys ?? "strict",
    knownHosts: spec.knownHosts === undefined ? [join(context.dataDir, "known_hosts"), ...config.knownHosts] : [spec.knownHosts],
    idleTimeoutMs: durationOf(spec.idleTimeout) ?? IDLE_TIMEOUT_MS,
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  };
  return { key: keyOf(config, options), connect: () => connectSsh(deps, config, options) };
}

/** Names of secrets that are only for logging in: the command does not get them. */
export function loginSecrets({ auth }: SshSpec): string[] {
  return [auth?.passphrase, auth?.password].filter((name) => name !== undefined);
}

function loginOf({ auth }: SshSpec, secrets: Readonly<Record<string, string>>): SshLogin {
  if (auth === undefined) return {};
  const passphrase = auth.passphrase === undefined ? undefined : secrets[auth.passphrase];
  const password = auth.password === undefined ? undefined : secrets[auth.password];
  return {
    ...(auth.agent === undefined ? {} : { agent: auth.agent }),
    ...(auth.key === undefined ? {} : { key: auth.key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(password === undefined ? {} : { password }),
  };
}

function keyOf(config: HostConfig, options: ConnectOptions): string {
  return createHash("sha256")
    .update(JSON.stringify([{ ...config, asked: "" }, options]))
    .digest("base64");
}

function durationOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}
