/** One host's part of an installation or removal: connected, worked on, and closed again; whatever goes wrong becomes its result. */
import type { Clock } from "fleetcron-shared/base/clock";
import { type AppError, asAppError } from "fleetcron-shared/base/errors";
import { connectSsh } from "fleetcron-shared/ssh/connect";
import type { SshEnvironment } from "fleetcron-shared/ssh/environment";
import { resolveHost } from "fleetcron-shared/ssh/host-config";
import type { HostKeyPolicy } from "fleetcron-shared/ssh/host-key-check";
import type { SshLogin } from "fleetcron-shared/ssh/login";
import { hostError, type Remote, remoteOf } from "./remote.ts";

export type HostDeps = {
  readonly clock: Pick<Clock, "after" | "sleep" | "mono">;
  readonly environment: SshEnvironment;
  /** Ends connections that are open, and opens no more. */
  readonly signal: AbortSignal;
  /** Where a host has come to: `uploading`, with how much of it. */
  readonly onStep: (host: string, step: string, detail?: string) => void;
};

export type HostAccess = {
  readonly login: SshLogin;
  readonly hostKeys: HostKeyPolicy;
  /** The folder of the installation; undefined: the usual one. */
  readonly prefix: string | undefined;
};

export type HostResult<T> = { readonly host: string } & ({ readonly value: T } | { readonly error: AppError });

export async function onHost<T>(
  deps: HostDeps,
  access: HostAccess,
  host: string,
  work: (remote: Remote) => Promise<T>,
): Promise<HostResult<T>> {
  try {
    deps.onStep(host, "connecting");
    const config = resolveHost(deps.environment, host);
    const { login, hostKeys } = access;
    const connection = await connectSsh(deps, config, { login, hostKeys, signal: deps.signal });
    const close = () => connection.close();
    deps.signal.addEventListener("abort", close, { once: true });
    try {
      return { host, value: await work(remoteOf(connection, host)) };
    } finally {
      deps.signal.removeEventListener("abort", close);
      connection.close();
    }
  } catch (thrown) {
    return { host, error: asAppError(hostError(thrown, host, "connecting")) };
  }
}
