/** One mail over SMTP with a deadline for all of it, to an address that the policy has judged. */
import { connect, isIP, type Socket } from "node:net";
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { MailSecurity } from "fleetcron-shared/model/channel";
import { createTransport } from "nodemailer";
import type { Mail } from "./formats/email.ts";
import { reasonOf } from "./http-post.ts";
import type { AddressPolicy } from "./target-addresses.ts";

export type SmtpServer = {
  readonly host: string;
  readonly port: number;
  readonly security: MailSecurity;
  readonly login: { readonly user: string; readonly pass: string } | undefined;
};

/** What the server said to it. Throws `channel/refused` for addresses, `channel/failed` for everything that happens on the way. */
export async function sendMail(
  deps: { clock: Pick<Clock, "after">; addresses: AddressPolicy },
  mail: Mail,
  server: SmtpServer,
  timeoutMs: number,
): Promise<string> {
  const { host, port, security, login } = server;
  let socket: Socket | undefined;
  let late = false;
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const cancel = deps.clock.after(timeoutMs, () => {
    late = true;
    reject(new Error("late"));
    socket?.destroy();
  });
  try {
    const [address = host] = await Promise.race([deps.addresses.resolve(host), deadline]);
    socket = connect({ host: address, port });
    await Promise.race([connected(socket), deadline]);
    const transport = createTransport({
      host,
      port,
      connection: socket,
      secure: security === "tls",
      requireTLS: security === "starttls",
      ignoreTLS: security === "none",
      tls: isIP(host) === 0 ? { servername: host } : {},
      disableFileAccess: true,
      disableUrlAccess: true,
      ...(login === undefined ? {} : { auth: login }),
    });
    const { from, to, cc, subject, text, messageId, headers } = mail;
    const sent = await Promise.race([
      transport.sendMail({ from, to: [...to], cc: [...cc], subject, text, messageId, headers: { ...headers } }),
      deadline,
    ]);
    return sent.response;
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const why = late ? `not done within ${timeoutMs / 1000} s` : reasonOf(thrown);
    throw new AppError("channel/failed", `${host}:${port}: ${why}`, { cause: thrown });
  } finally {
    cancel();
    deadline.catch(() => {});
    socket?.destroy();
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    // Errors after that are told by the transport; without a listener they would end the process.
    socket.on("error", reject);
  });
}
