/** The TCP connection under SSH. */
import { connect, type Socket } from "node:net";
import { asError } from "../base/errors.ts";
import { type SshError, type UnreachableWhy, unreachable } from "./failure.ts";

/** Connects by IPv4 or IPv6, whichever answers. Throws SshError (unreachable). `signal` gives up with its reason. */
export function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(asError(signal.reason));
    const socket = connect({ host, port, autoSelectFamily: true, noDelay: true });
    const giveUp = () => {
      socket.destroy();
      reject(asError(signal.reason));
    };
    signal.addEventListener("abort", giveUp, { once: true });
    socket.once("connect", () => {
      signal.removeEventListener("abort", giveUp);
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error) => {
      signal.removeEventListener("abort", giveUp);
      // An error of one of several addresses may come after the first.
      socket.on("error", () => {});
      reject(socketFailure(host, port, error));
    });
  });
}

/** An error of a socket, in words. */
export function socketFailure(host: string, port: number, error: Error): SshError {
  const first = error instanceof AggregateError ? (asError(error.errors[0]) as NodeJS.ErrnoException) : (error as NodeJS.ErrnoException);
  const [why, words] = REASONS[first.code ?? ""] ?? ["network", `connecting failed: ${first.message}`];
  return unreachable(why, `${host} port ${port}: ${words}`, error);
}

const REASONS: Readonly<Record<string, readonly [UnreachableWhy, string]>> = {
  ENOTFOUND: ["dns", "the name has no address"],
  EAI_AGAIN: ["dns", "the name server does not answer"],
  ECONNREFUSED: ["refused", "nobody listens there (connection refused)"],
  ETIMEDOUT: ["timeout", "no answer to the connection"],
  EHOSTUNREACH: ["network", "there is no way to the host"],
  ENETUNREACH: ["network", "there is no way to its network"],
  ECONNRESET: ["closed", "the connection was cut"],
};
