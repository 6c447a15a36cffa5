/** The keys that a host shows, without logging in: for people who compare fingerprints before they trust it. */
import ssh2 from "ssh2";
import { type ConnectOptions, openWay, type SshDeps } from "./connect.ts";
import { SshError, unreachable } from "./failure.ts";
import type { HostConfig } from "./host-config.ts";
import { algorithmsFor, type HostKey, hostKeyOf, KEY_TYPES } from "./host-key.ts";

const SCAN_TIMEOUT_MS = 15_000;

/**
 * One key for each type that the server has, the strongest first. Jump hosts on the way are logged in to, and their keys checked. Throws SshError (unreachable …)
 * when the host shows none.
 */
export async function scanHostKeys(deps: SshDeps, config: HostConfig, options: ConnectOptions = {}): Promise<HostKey[]> {
  const timeoutMs = options.connectTimeoutMs ?? config.connectTimeoutMs ?? SCAN_TIMEOUT_MS;
  const keys: HostKey[] = [];
  let failure: unknown;
  for (const type of KEY_TYPES) {
    const giveUp = new AbortController();
    const cancel = deps.clock.after(timeoutMs, () =>
      giveUp.abort(unreachable("timeout", `${config.host} port ${config.port}: no answer within ${timeoutMs / 1000} s`)),
    );
    try {
      const key = await scanOne(deps, config, options, type, giveUp.signal);
      if (key !== undefined && !keys.some(({ base64 }) => base64 === key.base64)) keys.push(key);
    } catch (error) {
      failure = error;
      // Not reached at all: the other types would wait as long for the same answer.
      break;
    } finally {
      cancel();
    }
  }
  if (keys.length > 0) return keys;
  throw failure instanceof SshError
    ? failure
    : unreachable("closed", `${config.host} port ${config.port}: it shows no host key that is known here`);
}

/** Undefined: the server has no key of this type. */
async function scanOne(
  deps: SshDeps,
  config: HostConfig,
  options: ConnectOptions,
  type: string,
  signal: AbortSignal,
): Promise<HostKey | undefined> {
  const way = await openWay(deps, config, options, signal);
  try {
    return await new Promise<HostKey | undefined>((resolve, reject) => {
      const client = new ssh2.Client();
      const stop = () => reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      client.on("error", (error: Error & { level?: string }) => {
        if (error.level === "handshake") resolve(undefined);
        else reject(unreachable("closed", `${config.host} port ${config.port}: ${error.message}`, error));
      });
      client.on("close", () => resolve(undefined));
      client.connect({
        sock: way.stream,
        username: config.user,
        readyTimeout: 0,
        algorithms: { serverHostKey: algorithmsFor([type]) },
        hostVerifier: (blob: Buffer) => {
          resolve(hostKeyOf(blob));
          return false;
        },
      });
    });
  } finally {
    way.close();
  }
}
