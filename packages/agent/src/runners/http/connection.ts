/**
 * A connection for one request, to an address that was judged: name → addresses → verdict → TCP (→ the proxy's CONNECT) (→ TLS), all within one
 * deadline. Nothing has been sent to the target when it fails, so every failure here is one before the work began.
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Clock } from "fleetcron-shared/base/clock";
import { formatDuration } from "fleetcron-shared/base/duration";
import type { AddressJudge, Verdict } from "fleetcron-shared/net/address-policy";
import { Client } from "undici";
import { connectFailure, failed, type HttpFailure, unreachable } from "./failure.ts";
import { MASK } from "./fill.ts";
import { basic, type HttpRequest, type Tls } from "./request.ts";

export type Target = {
  readonly url: URL;
  /** For errors. */
  readonly shown: string;
  readonly proxy: HttpRequest["proxy"];
  readonly tls: Tls;
};

export type ConnectDeps = {
  readonly clock: Pick<Clock, "after">;
  readonly judge: AddressJudge;
  /** The host's policy file, for the words of a refusal. */
  readonly policyFile: string;
};

/** What the request is sent through. `absolute`: a proxy reads it, so the request line names the whole address. */
export type Connection = {
  readonly socket: Socket;
  readonly absolute: boolean;
  /** The first error of the socket: undici tells the last one, which hides a TLS alert behind the connection's end. */
  readonly fault: () => Error | undefined;
};

/** Throws HttpFailure. When `signal` aborts, everything is torn down. */
export async function openConnection(deps: ConnectDeps, target: Target, timeoutMs: number, signal: AbortSignal): Promise<Connection> {
  const { url, proxy } = target;
  const late = new AbortController();
  const where = hostShown(target);
  const cancel = deps.clock.after(timeoutMs, () =>
    late.abort(unreachable(`${where}: no connection within ${formatDuration(timeoutMs)} (connectTimeout)`)),
  );
  const opened: Socket[] = [];
  const scope: Scope = { signal: AbortSignal.any([signal, late.signal]), track: (socket) => void opened.push(socket) };
  try {
    scope.signal.throwIfAborted();
    const socket = await Promise.race([connect(deps, target, scope), aborted(scope.signal)]);
    let first = socket.errored ?? undefined;
    socket.once("error", (error) => {
      first = error;
    });
    return { socket, absolute: proxy !== undefined && url.protocol === "http:", fault: () => first };
  } catch (thrown) {
    for (const socket of opened) socket.destroy();
    throw connectFailure(scope.signal.aborted ? scope.signal.reason : thrown, { where, detail: where !== MASK });
  } finally {
    cancel();
  }
}

type Scope = { readonly signal: AbortSignal; readonly track: (socket: Socket) => void };

async function connect(deps: ConnectDeps, target: Target, scope: Scope): Promise<Socket> {
  const { url, proxy } = target;
  const verdict = await deps.judge.judge(url.hostname);
  if (proxy === undefined) {
    const addresses = reachable(deps, verdict, hostShown(target), "");
    const socket = await openTcp(url, addresses, scope);
    return url.protocol === "https:" ? openTls(socket, target, scope) : socket;
  }
  judgeBehindProxy(deps, verdict, hostShown(target));
  const addresses = reachable(deps, await deps.judge.judge(proxy.url.hostname), hostShown(proxy), "the proxy ");
  const socket = await openTcp(proxy.url, addresses, scope).catch((thrown: unknown) => {
    throw connectFailure(thrown, { where: `the proxy ${hostShown(proxy)}`, detail: hostShown(proxy) !== MASK });
  });
  if (url.protocol === "http:") return socket;
  return openTls(await openTunnel(socket, target, proxy, scope), target, scope);
}

/** The host and port of an address as they may be shown: a host that came from a secret may not. */
export function hostShown({ url, shown }: { readonly url: URL; readonly shown: string }): string {
  const [, authority] = /^[a-z]+:\/\/([^/?#]*)/i.exec(shown) ?? [];
  return authority === undefined || authority.includes(MASK) ? MASK : url.host;
}

function reachable(deps: ConnectDeps, verdict: Verdict, host: string, what: string): readonly string[] {
  if (verdict.kind === "unknown") throw unreachable(`${what}${host}: the host name is not found; check it, and the DNS of this host`);
  if (verdict.kind === "refused") throw refusal(deps, verdict.addresses, host, `${what}${host === MASK ? MASK : verdict.is}`);
  return verdict.addresses;
}

/** Behind a proxy nobody can say which of a name's addresses it takes, so all must be allowed; a name that only the proxy knows is for it to judge. */
function judgeBehindProxy(deps: ConnectDeps, verdict: Verdict, host: string): void {
  if (verdict.kind === "unknown") return;
  const refused = verdict.kind === "refused" ? verdict.addresses : verdict.refused;
  if (refused.length > 0)
    throw refusal(
      deps,
      refused,
      host,
      host === MASK ? MASK : verdict.kind === "refused" ? verdict.is : `${verdict.name} is also ${refused.join(", ")}, which`,
    );
}

function refusal({ policyFile }: ConnectDeps, addresses: readonly string[], host: string, is: string): HttpFailure {
  const entry = host === MASK ? "its address" : addresses.join(", ");
  const what = `${is} is not a public address, and this host's policy does not allow it to http jobs`;
  return failed("http/address", `${what}; if it is meant, write into ${policyFile}: networks: [${entry}]`);
}

function openTcp(url: URL, addresses: readonly string[], { track }: Scope): Promise<Socket> {
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const socket = connectTcp({ host, port, lookup: only(addresses) });
  track(socket);
  socket.setNoDelay(true);
  return opened(socket, "connect");
}

/** A resolver that knows only these addresses. */
function only(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first = { address: "", family: 4 }] = found;
  return (_host, options, done) => (options.all === true ? done(null, found) : done(null, first.address, first.family));
}

/** Asks the proxy to pass everything on to the target. */
async function openTunnel(socket: Socket, target: Target, proxy: NonNullable<Target["proxy"]>, { signal }: Scope): Promise<Socket> {
  const { url } = target;
  const client = clientOn(socket, proxy.url.origin);
  const authority = `${url.hostname}:${url.port || 443}`;
  const headers = { host: authority, ...proxyAuthorization(proxy) };
  const answer = await client.connect({ path: authority, headers, signal }).catch((thrown: unknown) => {
    throw connectFailure(thrown, { where: `the proxy ${hostShown(proxy)}`, detail: hostShown(proxy) !== MASK });
  });
  const { statusCode } = answer;
  if (statusCode >= 200 && statusCode <= 299) return answer.socket as Socket;
  const said = `the proxy ${hostShown(proxy)} answered ${statusCode} when it was asked to connect to ${hostShown(target)}`;
  answer.socket.destroy();
  // The proxy's own way of saying that the target cannot be reached.
  throw [502, 503, 504].includes(statusCode) ? unreachable(said) : failed("http/proxy", said);
}

export function proxyAuthorization({ url }: NonNullable<Target["proxy"]>): Record<string, string> {
  return url.username === "" && url.password === "" ? {} : { "proxy-authorization": basic(url) };
}

function openTls(socket: Socket, { url, tls }: Target, { track }: Scope): Promise<Socket> {
  const { serverName, ...files } = tls;
  const name = serverName ?? url.hostname.replace(/^\[(.*)\]$/, "$1");
  // An address is never sent as the name that is asked for (RFC 6066), but the certificate must have it.
  const options: ConnectionOptions = {
    ...files,
    socket,
    host: name,
    servername: isIP(name) === 0 ? name : "",
    ALPNProtocols: ["http/1.1"],
  };
  const secured = tlsSocket(options);
  track(secured);
  return opened(secured, "secureConnect");
}

function tlsSocket(options: ConnectionOptions): Socket {
  try {
    return connectTls(options);
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? "unknown";
    throw failed("http/tls", `the files in run.http.tls cannot be used: is the key that of the cert, and the passphrase right? (${code})`);
  }
}

function opened(socket: Socket, event: "connect" | "secureConnect"): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve(socket));
    socket.once("close", () => reject(cut()));
    // Stays: errors after that are told by undici; without a listener they would end the process.
    socket.on("error", reject);
  });
}

/** An HTTP client that speaks on this socket and on no other. */
export function clientOn(socket: Socket, origin: string, options: Client.Options = {}): Client {
  let used = false;
  return new Client(origin, {
    ...options,
    allowH2: false,
    connect: (_options, done) => {
      const gone = used || socket.destroyed ? (socket.errored ?? cut()) : undefined;
      used = true;
      // undici would ask again if it were answered before it has returned.
      queueMicrotask(() => (gone === undefined ? done(null, socket) : done(gone, null)));
    },
  });
}

function cut(): Error {
  return Object.assign(new Error("the connection was cut"), { code: "ECONNRESET" });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}
