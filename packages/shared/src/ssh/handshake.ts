/** From an open stream to a connection that is logged in: handshake, host key, login. What goes wrong is told by how far it came. */
import type { Duplex } from "node:stream";
import ssh2, { type Client } from "ssh2";
import type { ConnectOptions, SshChannel, SshConnection, SshDeps } from "./connect.ts";
import { channelRefused, failed, SshError, unreachable } from "./failure.ts";
import type { HostConfig } from "./host-config.ts";
import { openHostKeyCheck } from "./host-key-check.ts";
import { courseOf, waysToLogIn } from "./login.ts";

/** Keepalives that may go unanswered; together they take the idle timeout. */
const KEEPALIVES = 3;

export type Hop = SshConnection & {
  /** A stream to a host that this one can reach. Throws SshError (unreachable). */
  forward(host: string, port: number): Promise<Duplex>;
};

type Stage = "greeting" | "keys" | "login";
type Options = Pick<ConnectOptions, "login" | "hostKeys" | "knownHosts"> & { readonly idleTimeoutMs: number };
type ClientError = Error & { level?: string; code?: unknown; reason?: unknown };

/** Throws SshError. `signal` aborts with an SshError as its reason. The stream is not closed when it fails. */
export async function shakeHands(deps: SshDeps, config: HostConfig, options: Options, stream: Duplex, signal: AbortSignal): Promise<Hop> {
  const ways = waysToLogIn(deps.environment, config, options.login);
  const hostKey = openHostKeyCheck(config, options.hostKeys ?? "strict", options.knownHosts);
  const course = courseOf(config.user, ways);
  const client = new ssh2.Client();
  const name = `${config.user}@${config.host}:${config.port}`;
  const at = `${config.host} port ${config.port}`;
  let stage: Stage = "greeting";
  let refused: SshError | undefined;
  let heard = "";
  let last = "";
  const notes = [...ways.notes];

  return new Promise<Hop>((resolve, reject) => {
    const fail = (error: SshError) => {
      signal.removeEventListener("abort", onAbort);
      reject(error);
      client.destroy();
    };
    const onAbort = () => fail(tooLate(at, stage, signal.reason));
    if (signal.aborted) return fail(tooLate(at, stage, signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });

    client.on("error", (error: ClientError) => {
      last = error.message;
      if (error.level === "agent") return void notes.push(`the ssh-agent cannot be used: ${error.message}`);
      if (error.level === "client-authentication" || (stage === "login" && /authentication/i.test(error.message)))
        return fail(refused ?? notLoggedIn(name, course.offered(), course.tried(), notes, error.message));
      if (error.level === "handshake") return fail(refused ?? failed("ssh/protocol", `${at}: ${error.message}`));
      fail(refused ?? broken(at, stage, heard, error.message));
    });
    client.on("close", () => fail(refused ?? broken(at, stage, heard, "the server closed the connection")));
    client.on("handshake", () => {
      stage = "login";
    });
    client.on("ready", () => {
      signal.removeEventListener("abort", onAbort);
      client.removeAllListeners("close");
      resolve(hopOf(client, name, () => last));
    });
    client.connect({
      sock: stream,
      username: config.user,
      authHandler: course.handler,
      algorithms: { serverHostKey: hostKey.algorithms },
      hostVerifier: (blob: Buffer) => {
        refused = hostKey.check(blob);
        return refused === undefined;
      },
      // The time limit is kept outside, over all jumps.
      readyTimeout: 0,
      keepaliveInterval: Math.max(50, Math.floor(options.idleTimeoutMs / KEEPALIVES)),
      keepaliveCountMax: KEEPALIVES - 1,
    });
    // The stream is paused until the client reads, so this takes nothing from it.
    const listen = (data: Buffer) => {
      heard = (heard + data.toString("latin1")).slice(0, 200);
      if (/^SSH-/m.test(heard)) {
        if (stage === "greeting") stage = "keys";
        stream.off("data", listen);
      }
    };
    stream.on("data", listen);
  });
}

function hopOf(client: Client, name: string, lastError: () => string): Hop {
  let isOpen = true;
  const closed = new Promise<string>((resolve) => {
    client.on("close", () => {
      isOpen = false;
      resolve(lastError() === "" ? "the connection was closed" : lastError());
    });
  });
  const lost = (why: string) => failed("ssh/connectionLost", `${name}: ${why}`);
  const open = <T>(
    begin: (done: (error: ClientError | undefined, channel: T) => void) => void,
    refusal: (error: ClientError) => SshError,
  ) =>
    new Promise<T>((resolve, reject) => {
      void closed.then((why) => reject(lost(why)));
      try {
        begin((error, channel) => {
          if (error === undefined) return resolve(channel);
          reject(isOpen && !/No response|Not connected/.test(error.message) ? refusal(error) : lost(error.message));
        });
      } catch (error) {
        reject(lost(error instanceof Error ? error.message : String(error)));
      }
    });
  return {
    name,
    closed,
    get isOpen() {
      return isOpen;
    },
    exec: (command) =>
      open<SshChannel>(
        (done) => client.exec(command, done),
        (error) =>
          /Unable to exec/.test(error.message)
            ? failed("ssh/noShell", `${name}: the server refuses to run a command`)
            : channelRefused(name, error.message.replace("(SSH) Channel open failure: ", "")),
      ),
    forward: (host, port) =>
      open<Duplex>(
        (done) => client.forwardOut("127.0.0.1", 0, host, port, done),
        (error) =>
          unreachable(
            "network",
            `${host} port ${port}: the jump host ${name} cannot connect to it (${error.message.replace("(SSH) Channel open failure: ", "")})`,
          ),
      ),
    close() {
      client.end();
      // A peer that is gone would never answer the goodbye.
      client.destroy();
    },
  };
}

function tooLate(at: string, stage: Stage, reason: unknown): SshError {
  if (!(reason instanceof SshError) || reason.failure.type !== "unreachable" || reason.failure.why !== "timeout")
    return reason instanceof SshError ? reason : unreachable("closed", `${at}: connecting was given up`);
  const limit = /within .*$/.exec(reason.failure.error)?.[0] ?? "in time";
  if (stage === "greeting") return unreachable("noBanner", `${at}: it accepts connections, but no SSH server greeted ${limit}`);
  return unreachable("timeout", `${at}: ${stage === "keys" ? "the handshake was not complete" : "the login was not answered"} ${limit}`);
}

function broken(at: string, stage: Stage, heard: string, why: string): SshError {
  if (stage === "greeting" && heard !== "")
    return failed("ssh/protocol", `${at}: what answers is no SSH server; it said ${JSON.stringify(heard.slice(0, 60))}`);
  const when = stage === "greeting" ? "before it greeted" : stage === "keys" ? "in the handshake" : "before the login was done";
  return unreachable("closed", `${at}: cut off ${when}: ${why}`);
}

function notLoggedIn(name: string, offered: readonly string[], tried: readonly string[], notes: readonly string[], why: string): SshError {
  const parts = [
    `the server takes ${offered.length === 0 ? "no method that it named" : offered.join(", ")}`,
    `tried: ${tried.length === 0 ? "nothing" : tried.join(", ")}`,
    ...notes,
    ...(/All configured/.test(why) ? [] : [why]),
  ];
  return failed("ssh/auth", `${name}: not let in; ${parts.join("; ")}`);
}
