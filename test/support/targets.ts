/** Real HTTP and SMTP servers on the loopback that notifications are sent to, and that answer as a test wants: at once, late, wrongly or never. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server as NetServer, type Socket } from "node:net";
import { systemClock } from "fleetcron-shared/base/clock";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export type Received = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Record<string, unknown>;
  /** Monotonic. */
  readonly atMs: number;
};
/** `never`: no answer · `reset`: the connection is cut · `drip`: a byte now and then, without end. */
export type Reply =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | "never"
  | "reset"
  | "drip";

export type HttpTarget = {
  readonly url: string;
  readonly host: string;
  readonly received: readonly Received[];
  at(path: string): readonly Received[];
  [Symbol.asyncDispose](): Promise<void>;
};

/** `reply` is asked for each request; `count` is how many its path has had before. */
export async function startHttpTarget(reply: (request: Received, count: number) => Reply | Promise<Reply>): Promise<HttpTarget> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const path = request.url ?? "";
    const count = received.filter((one) => one.path === path).length;
    const one: Received = { path, headers: request.headers, text, body: parse(text), atMs: systemClock.mono() };
    received.push(one);
    const answer = await reply(one, count);
    if (answer === "never") return;
    if (answer === "reset") return void request.socket.resetAndDestroy();
    if (answer === "drip") return void drip(response);
    response.writeHead(answer.status, answer.headers).end(answer.body ?? "");
  });
  server.on("clientError", (_, socket) => socket.destroy());
  const port = await listening(server);
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    received,
    at: (path) => received.filter((one) => one.path === path),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type MailTarget = { readonly port: number; readonly mails: readonly string[]; [Symbol.asyncDispose](): Promise<void> };

export async function startMailTarget(options: SMTPServerOptions = {}): Promise<MailTarget> {
  const mails: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onData(stream, _session, done) {
      let text = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk: string) => {
        text += chunk;
      });
      stream.on("end", () => {
        mails.push(text);
        done();
      });
    },
    ...options,
  });
  server.on("error", () => {});
  const port = await listening(server.server as NetServer);
  return { port, mails, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** Takes connections and says nothing. */
export async function startSilentTarget(): Promise<{ port: number; [Symbol.asyncDispose](): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  const port = await listening(server);
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listening(server: NetServer): Promise<number> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

async function drip(response: ServerResponse): Promise<void> {
  for (response.writeHead(200); !response.destroyed; await systemClock.sleep(20)) response.write("x");
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
