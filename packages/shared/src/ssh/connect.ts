/**
 * A connection over SSH to a host, by way of its jump hosts, each of whose keys is checked. It carries many sessions; whoever opened it closes it.
 */
import type { Duplex } from "node:stream";
import type { ClientChannel } from "ssh2";
import type { Clock } from "../base/clock.ts";
import type { SshEnvironment } from "./environment.ts";
import { failureAt, SshError, unreachable } from "./failure.ts";
import { shakeHands } from "./handshake.ts";
import type { HostConfig } from "./host-config.ts";
import type { HostKeyPolicy } from "./host-key-check.ts";
import type { SshLogin } from "./login.ts";
import { openSocket } from "./socket.ts";

export type SshDeps = {
  readonly clock: Pick<Clock, "after">;
  readonly environment: SshEnvironment;
};

export type ConnectOptions = {
  readonly login?: SshLogin;
  /** Default `strict`. */
  readonly hostKeys?: HostKeyPolicy;
  /** Default: those of the config. The first is where `accept-new` keeps a new key. */
  readonly knownHosts?: readonly string[];
  /** Until logged in, all jumps included. Default: the config's ConnectTimeout, else 15 s. */
  readonly connectTimeoutMs?: number;
  /** A peer that gives no sign for so long counts as gone. Default 45 s. */
  readonly idleTimeoutMs?: number;
  /** Gives up; the promise rejects with SshError (unreachable, closed). */
  readonly signal?: AbortSignal;
};

/** A session's two-way stream: `stderr` beside it, events `exit` (code, or null and the signal's name) and `close`. */
export type SshChannel = ClientChannel;

export type SshConnection = {
  /** `user@host:port` */
  readonly name: string;
  /**
   * Runs a command by the user's login shell there. `command` is visible in `ps`: nothing secret belongs into it. Throws SshError: `ssh/channels` (the server opens
   * no more sessions on this connection), `ssh/noShell` (it runs no commands), `ssh/connectionLost`.
   */
  exec(command: string): Promise<SshChannel>;
  /** Resolves with the reason, in words, when it is gone, by whomever. Channels end by themselves then. */
  readonly closed: Promise<string>;
  readonly isOpen: boolean;
  close(): void;
};

const CONNECT_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 45_000;

/** Connects and logs in. Throws SshError; every failure names the host. */
export async function connectSsh(deps: SshDeps, config: HostConfig, options: ConnectOptions = {}): Promise<SshConnection> {
  const timeoutMs = options.connectTimeoutMs ?? config.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const giveUp = new AbortController();
  const cancel = deps.clock.after(timeoutMs, () =>
    giveUp.abort(unreachable("timeout", `${config.host} port ${config.port}: no connection within ${timeoutMs / 1000} s`)),
  );
  const onAbort = () => giveUp.abort(unreachable("closed", `${config.host} port ${config.port}: connecting was given up`));
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await connectThrough(deps, config, options, giveUp.signal);
  } finally {
    cancel();
    options.signal?.removeEventListener("abort", onAbort);
  }
}

async function connectThrough(deps: SshDeps, config: HostConfig, options: ConnectOptions, signal: AbortSignal): Promise<SshConnection> {
  const { stream, close: closeWay } = await openWay(deps, config, options, signal);
  try {
    const idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    const hand = await shakeHands(deps, config, { ...options, idleTimeoutMs }, stream, signal);
    void hand.closed.then(closeWay);
    return hand;
  } catch (error) {
    closeWay();
    throw error;
  }
}

export type Way = { readonly stream: Duplex; close(): void };

/** The stream to the host itself: a socket, or a channel of the last jump host. Throws SshError. */
export async function openWay(deps: SshDeps, config: HostConfig, options: ConnectOptions, signal: AbortSignal): Promise<Way> {
  const [first, ...rest] = config.jumps;
  if (first === undefined) {
    const socket = await openSocket(config.host, config.port, signal);
    return { stream: socket, close: () => socket.destroy() };
  }
  // A jump host gets no password that was meant for the host behind it; keys and the agent give nothing away.
  const { password: _, ...login } = options.login ?? {};
  const opened: { close(): void }[] = [];
  const close = () => {
    for (const each of opened.reverse()) each.close();
  };
  try {
    let { stream } = await openWay(deps, first, options, signal);
    const socket = stream;
    opened.push({ close: () => socket.destroy() });
    for (const [index, jump] of config.jumps.entries()) {
      const idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
      const next = rest[index] ?? config;
      const connection = await shakeHands(deps, jump, { ...options, login, idleTimeoutMs }, stream, signal).catch((error: unknown) => {
        throw error instanceof SshError ? failureAt(`jump host ${jump.asked}`, error) : error;
      });
      opened.push(connection);
      stream = await connection.forward(next.host, next.port);
    }
    return { stream, close };
  } catch (error) {
    close();
    throw error;
  }
}
