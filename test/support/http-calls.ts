/** Drives the http runner's port directly, and servers that a library would not give: raw ones that answer byte by byte, TLS ones, proxies. */
import { execFileSync } from "node:child_process";
import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { systemClock } from "fleetcron-shared/base/clock";
import type { HttpSpec } from "fleetcron-shared/model/runners/http-spec";
import { createHttpRunner, type HttpRunnerDeps, type HttpSession } from "../../packages/agent/src/runners/http/http-runner.ts";
import type { Session, SessionContext, SessionDeps, SessionEnd } from "../../packages/agent/src/runners/runner.ts";

export type Call = {
  readonly session: Session;
  readonly done: Promise<SessionEnd>;
  readonly traces: readonly string[];
  log(): string;
  /** As another session host would, after this one has died. */
  recover(trace: string | undefined): Session;
  close(): void;
};

export type CallOptions = Partial<Pick<SessionContext, "env" | "secrets" | "networks">> &
  Partial<Pick<HttpRunnerDeps, "lookUp" | "limits">> & { readonly onWrite?: (bytes: Uint8Array) => Promise<void> };

/** Allowed by default: 127.0.0.1, where the tests' servers are. */
export function startCall(spec: HttpSpec, options: CallOptions = {}): Call {
  const { env = {}, secrets = {}, networks = ["127.0.0.1"], lookUp, limits, onWrite } = options;
  const runner = createHttpRunner({
    version: "1.2.3",
    ...(lookUp === undefined ? {} : { lookUp }),
    ...(limits === undefined ? {} : { limits }),
  });
  const written: Buffer[] = [];
  const traces: string[] = [];
  const write = async (bytes: Uint8Array) => {
    written.push(Buffer.from(bytes));
    await onWrite?.(bytes);
  };
  const port: SessionDeps = { clock: systemClock, write, writeError: write, begun: (trace) => traces.push(trace), warn() {} };
  const asked: HttpSession = {
    runner: "http",
    spec,
    execution: "01EXECUTION",
    attempt: 2,
    env,
    secrets,
    networks,
    policyFile: "/etc/fleetcron/policy.yaml",
    dataDir: "/nonexistent",
  };
  const session = runner.start(asked, port);
  return {
    ...{ session, done: session.done, traces },
    log: () => Buffer.concat(written).toString(),
    recover: (trace) => runner.recover(asked, trace, port),
    close: () => runner.close(),
  };
}

/** The end of a call, and its log. */
export async function call(spec: HttpSpec, options: CallOptions = {}): Promise<SessionEnd & { log: string; traces: readonly string[] }> {
  const started = startCall(spec, options);
  return { ...(await started.done), log: started.log(), traces: started.traces };
}

/** The outcome in one line: `exit 0`, `http/status: …`, `unreachable: …`. */
export function said({ outcome }: SessionEnd): string {
  if (outcome.type === "failed") return `${outcome.code}: ${outcome.error}`;
  return outcome.type === "exit" ? `exit ${outcome.code}` : `${outcome.type}${"error" in outcome ? `: ${outcome.error}` : ""}`;
}

export type Peer = { readonly port: number; readonly url: string; readonly seen: string[]; [Symbol.asyncDispose](): Promise<void> };

/** Takes connections; `answer` gets each socket once something has come, with its text. */
export function startRawPeer(answer: (socket: Socket, text: string) => void | Promise<void>, tls?: TlsOptions): Promise<Peer> {
  const seen: string[] = [];
  const serve = (socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      seen.push(data.toString());
      void answer(socket, data.toString());
    });
  };
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  server.on("tlsClientError", () => {});
  return listening(server, seen, tls === undefined ? "http" : "https");
}

/** `200 OK` with `body`, and the connection's end. */
export function okWith(body: string, headers: readonly string[] = []): string {
  return `${["HTTP/1.1 200 OK", `content-length: ${Buffer.byteLength(body)}`, "connection: close", ...headers].join("\r\n")}\r\n\r\n${body}`;
}

export type ProxyAsk = { readonly line: string; readonly headers: IncomingHttpHeaders };

/** A forward proxy that knows CONNECT; `to` says where a name really is, undefined or a status to refuse. */
export async function startProxy(
  to: (authority: string) => number | { port: number },
): Promise<Peer & { readonly asks: readonly ProxyAsk[] }> {
  const asks: ProxyAsk[] = [];
  const server = createHttpServer((request, response) => {
    asks.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    response.end("through the proxy");
  });
  server.on("connect", (request, client: Socket) => {
    asks.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    client.on("error", () => {});
    const target = to(request.url ?? "");
    if (typeof target === "number") return void client.end(`HTTP/1.1 ${target} No\r\ncontent-length: 0\r\n\r\n`);
    const onward = connect(target.port, "127.0.0.1", () => client.write("HTTP/1.1 200 Connection established\r\n\r\n"));
    onward.on("error", () => client.destroy());
    client.on("close", () => onward.destroy());
    client.pipe(onward).pipe(client);
  });
  return Object.assign(await listening(server, [], "http"), { asks });
}

async function listening(server: Server, seen: string[], scheme: string): Promise<Peer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ port, seen, url: `${scheme}://127.0.0.1:${port}` },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** In `dir`: an authority (`ca.crt`), and `name.crt`/`name.key` of it for each name with its alternative names; with a passphrase when one is given. */
export function makeCertificates(dir: string, names: Readonly<Record<string, { san: string; days?: number; passphrase?: string }>>): void {
  const run = (args: string) => execFileSync("openssl", args.split(" "), { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
  run(`req -x509 ${key} -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca`);
  for (const [name, { san, days = 2, passphrase }] of Object.entries(names)) {
    const locked = passphrase === undefined ? "-nodes" : `-passout pass:${passphrase}`;
    run(`req ${key} ${locked} -keyout ${name}.key -out ${name}.csr -subj /CN=${name} -addext subjectAltName=${san}`);
    run(`x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -copy_extensions copy -out ${name}.crt -days ${days}`);
  }
}
