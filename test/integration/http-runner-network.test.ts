/** Where the http runner may connect to, whatever names, redirects and proxies say; TLS; and answers without end. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import test from "ava";
import { type CallOptions, call, makeCertificates, okWith, said, startCall, startProxy, startRawPeer } from "../support/http-calls.ts";
import { tempFolder } from "../support/processes.ts";
import { type Reply, startHttpTarget } from "../support/targets.ts";

const PUBLIC_ONLY: CallOptions = { networks: [] };

for (const host of [
  ...["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "[::1]"],
  ...[
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::7f00:1]",
    "[64:ff9b::a00:1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "localhost",
    "127.0.0.1.",
  ],
]) {
  test(`${host} is refused without a word of the policy`, async (t) => {
    const end = await call({ url: `http://${host}:1/` }, PUBLIC_ONLY);
    t.regex(said(end), /^http\/address: .*not a public address, .*write into \/etc\/fleetcron\/policy\.yaml: networks: \[[\da-f.:, ]+\]$/);
    t.deepEqual(end.traces, []);
  });
}

test("networks allows what it names, and no more", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  for (const networks of [["127.0.0.1"], ["127.0.0.0/8"], ["10.0.0.0/8", "private"]])
    t.is(said(await call({ url: target.url }, { networks })), "exit 0");
  t.regex(said(await call({ url: target.url }, { networks: ["127.0.0.2", "10.0.0.0/8"] })), /^http\/address/);
});

test("a name is looked up once, and the connection goes to what was judged", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  const url = target.url.replace("127.0.0.1", "rebind.example");
  let asked = 0;
  const lookUp = async () => (++asked === 1 ? ["127.0.0.1"] : ["10.0.0.1"]);
  t.is(said(await call({ url }, { lookUp })), "exit 0");
  t.is(asked, 1);
  t.is(target.received[0]!.headers.host, url.slice("http://".length), "the server is still asked by its name");
  const both = await call({ url }, { lookUp: async () => ["10.0.0.1", "127.0.0.1"] });
  t.is(said(both), "exit 0", "of several addresses only those that are allowed are used");
  t.regex(
    said(await call({ url }, { lookUp: async () => ["::ffff:10.0.0.1"] })),
    /^http\/address: rebind\.example is ::ffff:10\.0\.0\.1, which is not/,
  );
});

test("each redirect is judged again: metadata, private addresses, names that have moved, other schemes", async (t) => {
  const places: Record<string, string> = {
    "/metadata": "http://169.254.169.254/latest/meta-data/",
    "/private": "//10.0.0.1/x",
    "/mapped": "http://[::ffff:169.254.169.254]/",
    "/decimal": "http://2852039166/",
    "/name": "http://moved.example/",
    "/file": "file:///etc/passwd",
    "/nowhere": "http://",
  };
  await using target = await startHttpTarget(({ path }) => ({ status: 302, headers: { location: places[path]! } }));
  let asked = 0;
  const lookUp = async () => (++asked > 1 ? ["169.254.169.254"] : ["127.0.0.1"]);
  for (const path of Object.keys(places)) {
    const end = await call({ url: `${target.url}${path}` }, { lookUp: path === "/name" ? lookUp : async () => ["127.0.0.1"] });
    if (path === "/name") t.regex(said(end), /^unreachable: moved\.example: the connection was refused$/);
    else
      t.regex(
        said(end),
        path === "/file" || path === "/nowhere" ? /^http\/redirects: / : /^http\/address: .*(169\.254\.169\.254|10\.0\.0\.1|a9fe:a9fe)/,
        path,
      );
  }
  const moved = await call({ url: `${target.url}/name` }, { lookUp });
  t.regex(said(moved), /^http\/address: moved\.example is 169\.254\.169\.254, which/);
});

test("redirects: followed by the rules, circles and long ways told, none with maxRedirects 0", async (t) => {
  const to = (status: number, location: string): Reply => ({ status, headers: { location } });
  const replies: Record<string, Reply> = {
    ...{ "/a": to(302, "/b"), "/b": to(301, "/a"), "/303": to(303, "/end"), "/302": to(302, "/end"), "/307": to(307, "/end") },
    ...{ "/end": { status: 200, body: "end" } },
  };
  await using target = await startHttpTarget(({ path }) => replies[path] ?? to(302, `${path}x`));
  const { url } = target;
  t.is(said(await call({ url: `${url}/a` })), `http/redirects: the redirects lead in a circle: ${url}/a → ${url}/b → ${url}/a`);
  t.regex(
    said(await call({ url: `${url}/far`, maxRedirects: 3 })),
    /^http\/redirects: more than 3 redirects \(maxRedirects\): \S+\/far → .*\/farxxxx$/,
  );
  t.regex(said(await call({ url: `${url}/a`, maxRedirects: 0 })), /^http\/status: .*302/);
  t.is(said(await call({ url: `${url}/a`, maxRedirects: 0, expectStatus: [302] })), "exit 0");
  for (const [path, method] of [
    ["/303", "GET"],
    ["/302", "GET"],
    ["/307", "POST"],
  ] as const) {
    await using echo = await startRawPeer((socket) => void socket.end(okWith("")));
    replies["/end"] = to(307, `${echo.url}/`);
    const end = await call({ method: "POST", url: `${url}${path}`, body: "text" });
    t.is(said(end), "exit 0");
    t.regex(end.log, new RegExp(`^HTTP/1\\.1 ${path.slice(1)} .* ms\\), to ${url}/end\nHTTP/1\\.1 307 .*\nHTTP/1\\.1 200 `));
    t.regex(echo.seen[0]!, new RegExp(`^${method} / HTTP`));
    t.is(echo.seen[0]!.endsWith("text"), method === "POST");
    t.is(/idempotency-key/i.test(echo.seen[0]!), method === "POST");
  }
});

test("another origin gets no credentials, no secret headers, and no body with a secret", async (t) => {
  await using other = await startHttpTarget(() => ({ status: 200 }));
  await using target = await startHttpTarget(({ path }) => ({
    status: 307,
    headers: { location: path === "/own" ? "/away" : `${other.url}/` },
  }));
  const headers = {
    Authorization: "Basic eA==",
    Cookie: "a=b",
    "X-Api-Key": "k",
    "X-Mine": `\${S}`,
    "X-Open": "yes",
    Host: "virtual.example",
  };
  const secrets = { S: "v3rysecret" };
  const url = `${target.url}/own`;
  t.is(said(await call({ url, headers }, { secrets })), "exit 0");
  t.like(target.at("/away")[0]!.headers, { authorization: "Basic eA==", cookie: "a=b", "x-mine": "v3rysecret", host: "virtual.example" });
  const [seen] = other.received;
  t.is(seen!.headers["x-open"], "yes");
  t.is(seen!.headers.host, other.host);
  for (const name of ["authorization", "cookie", "x-api-key", "x-mine"]) t.is(seen!.headers[name], undefined, name);
  const body = { a: `\${S}` };
  t.regex(
    said(await call({ method: "POST", url, body }, { secrets })),
    /^http\/redirects: .*which would be sent a body with a secret of the job$/,
  );
  t.is(other.received.length, 1);
});

test("answers without end: bounded, not all in the log, ended by a kill; a gzip bomb is one of them", async (t) => {
  await using endless = await startRawPeer(async (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    const piece = Buffer.alloc(65_536, "x");
    while (!socket.destroyed) if (!socket.write(piece)) await drained(socket);
  });
  const limits = { loggedBytes: 100_000, bodyBytes: 10_000_000 };
  const large = await call({ url: endless.url }, { limits });
  t.regex(said(large), /^http\/tooLarge: /);
  t.true(large.log.length < 101_000, String(large.log.length));
  t.regex(large.log, /\[only the first .* of the body are logged\]/);
  const bomb = gzipSync(Buffer.alloc(20_000_000));
  await using bomber = await startRawPeer((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
    socket.end(bomb);
  });
  t.true(bomb.length < limits.loggedBytes);
  t.regex(said(await call({ url: bomber.url }, { limits })), /^http\/tooLarge: /);
  const killed = startCall({ url: endless.url });
  killed.session.kill("KILL");
  t.deepEqual((await killed.done).outcome, { type: "signal", name: "SIGKILL" });
});

test("a slow log slows the sender down", async (t) => {
  let sent = 0;
  await using fast = await startRawPeer(async (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    for (const piece = Buffer.alloc(65_536, "x"); sent < 64_000_000 && !socket.destroyed; sent += piece.length)
      if (!socket.write(piece)) await drained(socket);
    socket.end();
  });
  const [first, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let writes = 0;
  const onWrite = async () => {
    // The second one is the body's first.
    if (++writes !== 2) return;
    first.resolve();
    await free.promise;
  };
  const started = startCall({ url: fast.url, idleTimeout: "300ms" }, { onWrite });
  await first.promise;
  // The disk is slower than idleTimeout: that is not the server's silence. A server elsewhere answers meanwhile.
  await using other = await startRawPeer(() => {});
  t.regex(said(await call({ url: other.url, idleTimeout: "1s" })), /^http\/idle/);
  t.true(sent < 30_000_000, `${sent} bytes were taken although nothing was written`);
  free.resolve();
  t.is(said({ ...(await started.done) }), "exit 0");
  t.is(sent >= 64_000_000, true);
});

test("what speaks first, and speaks no HTTP, is told as that", async (t) => {
  const server = createServer((socket) => void socket.on("error", () => {}).write("SSH-2.0-OpenSSH_9.2\r\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  t.regex(said(await call({ url: `http://127.0.0.1:${port}/` })), /^http\/(protocol|cut): /);
  server.close();
});

test("TLS: authorities, names, client certificates, and what is wrong in words", async (t) => {
  using folder = tempFolder();
  const { path } = folder;
  makeCertificates(path, {
    server: { san: "IP:127.0.0.1,DNS:right.example" },
    old: { san: "IP:127.0.0.1", days: -1 },
    client: { san: "DNS:client" },
    locked: { san: "DNS:client", passphrase: "pa55phrase" },
  });
  const files = (name: string) => ({ cert: readFileSync(`${path}/${name}.crt`), key: readFileSync(`${path}/${name}.key`) });
  const at = (name: string) => ({ cert: `${path}/${name}.crt`, key: `${path}/${name}.key` });
  const ca = `${path}/ca.crt`;
  const ok = (socket: Socket) => void socket.end(okWith("secure"));
  await using server = await startRawPeer(ok, files("server"));
  const { url } = server;
  t.is(said(await call({ url, tls: { ca } })), "exit 0");
  t.regex(said(await call({ url })), /^http\/tls: .* authority that is not (known|trusted).*run\.http\.tls\.ca$/);
  t.regex(said(await call({ url, tls: { ca, serverName: "wrong.example" } })), /^http\/tls: .*for another name/);
  const named = `https://wrong.example:${server.port}/`;
  const lookUp = async () => ["127.0.0.1"];
  t.regex(said(await call({ url: named, tls: { ca } }, { lookUp })), /^http\/tls: .*for another name/);
  t.is(said(await call({ url: named, tls: { ca, serverName: "right.example" } }, { lookUp })), "exit 0");
  t.regex(
    said(await call({ url, tls: { ca: `${path}/none.crt` } })),
    /^http\/tls: run\.http\.tls\.ca: \S+none\.crt cannot be read on this host: ENOENT/,
  );
  t.regex(said(await call({ url, tls: { ca: "/dev/zero" } })), /^http\/tls: .*it is no file of at most 1 MiB$/);

  await using expired = await startRawPeer(ok, files("old"));
  t.regex(said(await call({ url: expired.url, tls: { ca } })), /^http\/tls: .*has expired$/);
  await using plain = await startRawPeer(ok);
  t.regex(said(await call({ url: plain.url.replace("http:", "https:") })), /^http\/tls: .*does not speak TLS on this port$/);

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    await using strict = await startRawPeer(ok, {
      ...files("server"),
      ca: readFileSync(ca),
      requestCert: true,
      rejectUnauthorized: true,
      maxVersion,
    });
    t.is(said(await call({ url: strict.url, tls: { ca, ...at("client") } })), "exit 0");
    const secrets = { PASS: "pa55phrase", WRONG: "not that one" };
    t.is(said(await call({ url: strict.url, tls: { ca, ...at("locked"), passphrase: "PASS" } }, { secrets })), "exit 0");
    const wrong = said(await call({ url: strict.url, tls: { ca, ...at("locked"), passphrase: "WRONG" } }, { secrets }));
    t.regex(wrong, /^http\/tls: the files in run\.http\.tls cannot be used: .*passphrase/);
    t.regex(said(await call({ url: strict.url, tls: { ca } })), /^http\/tls: .*(client certificate|refused the TLS)/, maxVersion);
  }
});

test("a proxy: CONNECT for https, the whole address for http, its own address judged, its refusals told", async (t) => {
  using folder = tempFolder();
  makeCertificates(folder.path, { server: { san: "DNS:target.example" } });
  const files = { cert: readFileSync(folder.file("server.crt")), key: readFileSync(folder.file("server.key")) };
  await using server = await startRawPeer((socket) => void socket.end(okWith("from the target")), files);
  await using proxy = await startProxy((authority) =>
    authority.startsWith("target.example:") ? server : Number(/\d{3}/.exec(authority)?.[0] ?? 403),
  );
  const lookUp = async (name: string) =>
    name === "proxy.example" ? ["127.0.0.1"] : name === "inside.example" ? ["8.8.8.8", "10.0.0.1"] : [];
  const at = `http://user:\${PASS}@proxy.example:${proxy.port}`;
  const secrets = { PASS: "pa55:word@" };
  const through = (url: string, more: CallOptions = {}) =>
    call({ url, proxy: at, tls: { ca: folder.file("ca.crt") } }, { lookUp, secrets, ...more });
  const authorization = `Basic ${btoa("user:pa55:word@")}`;

  const secure = await through("https://target.example/x");
  t.is(said(secure), "exit 0");
  t.true(secure.log.endsWith("from the target\n"));
  t.like(proxy.asks.at(-1), { line: "CONNECT target.example:443", headers: { "proxy-authorization": authorization } });
  t.notRegex(server.seen.join(), /proxy-auth/i, "the target does not get the proxy's password");
  const plain = await through("http://target.example:81/x?y");
  t.is(said(plain), "exit 0");
  t.like(proxy.asks.at(-1), {
    line: "GET http://target.example:81/x?y",
    headers: { "proxy-authorization": authorization, host: "target.example:81" },
  });
  t.regex(said(await through("https://h407.example/")), new RegExp(`^http/proxy: the proxy proxy.example:${proxy.port} answered 407 when`));
  t.regex(said(await through("https://h502.example/")), /^unreachable: the proxy \S+ answered 502/);
  const asks = proxy.asks.length;
  t.regex(said(await through("https://10.0.0.1/")), /^http\/address: 10\.0\.0\.1/);
  t.regex(said(await through("https://inside.example/")), /^http\/address: inside\.example is also 10\.0\.0\.1, which is not/);
  t.regex(
    said(await through("https://target.example/", { networks: [] })),
    /^http\/address: the proxy proxy\.example is 127\.0\.0\.1, which is not/,
  );
  t.is(proxy.asks.length, asks);
  await using mute = await startRawPeer(() => {});
  const waiting = await call({ url: "https://target.example/", proxy: mute.url, connectTimeout: "300ms" }, { lookUp });
  t.regex(said(waiting), /^unreachable: target\.example: no connection within 300ms/);
  t.regex(
    said(await call({ url: "https://target.example/", proxy: "http://127.0.0.1:1" }, { lookUp })),
    /^unreachable: the proxy 127\.0\.0\.1:1: the connection was refused$/,
  );
});

/** Settles also when the other end has closed. */
async function drained(socket: Socket): Promise<void> {
  const closed = new AbortController();
  const onClose = () => closed.abort();
  socket.once("close", onClose);
  await once(socket, "drain", { signal: closed.signal }).catch(() => {});
  socket.off("close", onClose);
}
