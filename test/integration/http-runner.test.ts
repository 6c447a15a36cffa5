/** The http runner against real servers: what is sent, what is logged, what counts as success, how it ends. */
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import test from "ava";
import { call, okWith, said, startCall, startRawPeer } from "../support/http-calls.ts";
import { startHttpTarget, startSilentTarget } from "../support/targets.ts";

test("a call is sent with its variables, logged and successful", async (t) => {
  await using target = await startHttpTarget(() => ({
    status: 201,
    headers: { "content-type": "text/plain", "set-cookie": "session=verysecret", authorization: "verysecret" },
    body: "made\n",
  }));
  const spec = {
    method: "POST",
    url: `${target.url}/items/\${ID}?q=\${Q}`,
    headers: { "X-Token": `Bearer \${TOKEN}`, "X-Plain": "$${ID}" },
    body: { name: `<\${Q}>`, list: [`\${ID}`, 7, true], "${ID}": "key" },
  };
  const end = await call(spec, { env: { ID: "a/b?c#d", Q: 'x&y="1"' }, secrets: { TOKEN: "s3cret-token" } });
  t.deepEqual(end.outcome, { type: "exit", code: 0 });
  t.regex(end.log, /^HTTP\/1\.1 201 Created \(\d+ ms\)\ncontent-type: text\/plain\n\nmade\n$/);
  const [one] = target.received;
  t.is(one!.path, "/items/a%2Fb%3Fc%23d?q=x%26y%3D%221%22");
  t.deepEqual(one!.body, { name: '<x&y="1">', list: ["a/b?c#d", 7, true], "${ID}": "key" });
  t.like(one!.headers, {
    ...{ "x-token": "Bearer s3cret-token", "x-plain": "${ID}", "user-agent": "fleetcron/1.2.3", "content-type": "application/json" },
    ...{ "idempotency-key": "01EXECUTION", "x-fleetcron-execution": "01EXECUTION-2", connection: "close", host: target.host },
  });
  t.deepEqual(end.traces, [`POST ${target.url}/items/a%2Fb%3Fc%23d?q=x%26y%3D%221%22`]);
});

test("text bodies: as they are, escaped inside the strings of JSON, encoded in forms", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  const env = { V: 'a"b\n&c=d', N: "12", EVIL: '1, "admin": true' };
  const send = (body: string, type: string) => call({ method: "PUT", url: target.url, body, headers: { "content-type": type } }, { env });
  await send("[${V}] $${V}", "text/plain");
  t.is(target.received.at(-1)!.text, `[${env.V}] \${V}`);
  await send('{"a\\"": "${V}", "n": ${N}}', "application/vnd.x+json; charset=utf-8");
  t.deepEqual(target.received.at(-1)!.body, { 'a"': env.V, n: 12 });
  await send("x=${V}&y=1", "application/x-www-form-urlencoded");
  t.is(target.received.at(-1)!.text, `x=${encodeURIComponent(env.V)}&y=1`);
  t.regex(said(await send('{"n": ${EVIL}}', "application/json")), /^runner\/spec: run\.http\.body: the value of EVIL cannot be put there$/);
  t.is(target.received.length, 3);
});

test("values that would change the request are refused, and nothing is sent", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  const { url } = target;
  const secrets = { EVIL: "x\r\nX-Admin: verysecret" };
  const [host] = target.host.split(":");
  const refusals: [Parameters<typeof call>[0], Record<string, string>, RegExp][] = [
    [{ url, headers: { "X-A": "${EVIL}" } }, {}, /run\.http\.headers\.X-A: with its variables put in, it has a line break/],
    [{ url, headers: { "X-A": "${V}" } }, { V: "x\0" }, /another character that no header may hold/],
    [{ url: `${url}/a/\${V}/b` }, { V: ".." }, /would lead to another path/],
    [{ url: `${url}/a/.\${V}/b` }, { V: "." }, /would lead to another path/],
    [{ url: `http://\${V}.invalid:1/` }, { V: `${host}/` }, /is no address/],
    [{ url: `http://\${V}/` }, { V: "x@127.0.0.1" }, /is no address/],
    [{ url: `\${V}/x` }, { V: "file:///etc/passwd" }, /is no address that begins with http/],
    [{ url: `${url}/\${NONE}` }, {}, /run\.http\.url: there is no variable NONE/],
    [{ url: `${url}/\${toString}` }, {}, /there is no variable toString/],
    [{ url: `${url}/\${V}` }, { V: "\ud800" }, /the value of V cannot be put there/],
  ];
  for (const [spec, env, words] of refusals) {
    const end = await call(spec, { env, secrets });
    t.regex(said(end), words);
    t.true(said(end).startsWith("runner/spec: "), said(end));
    t.false(said(end).includes("verysecret"));
    t.deepEqual(end.traces, []);
  }
  t.is(target.received.length, 0);
  t.is(said(await call({ url: `${url}/a/\${V}` }, { env: { V: "…/%2e%2e" } })), "exit 0");
  t.is(target.received[0]!.path, "/a/%E2%80%A6%2F%252e%252e");
});

test("secrets are in no error, log line or trace, also when they are the address", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 500, body: "no" }));
  const secrets = { HOOK: `http://user:pa55word@${target.host}/hooks/t0ken`, KEY: "k3y/with?chars" };
  for (const url of [`${target.url}/x?key=\${KEY}`, `\${HOOK}/more?key=\${KEY}`]) {
    const end = await call({ url }, { secrets });
    t.regex(said(end), /^http\/status: GET \S*\*\*\*: 500 Internal Server Error; expected: 2xx$/);
    for (const text of [JSON.stringify(end), end.log]) t.notRegex(text, /pa55word|t0ken|k3y|user/);
    t.true(target.received.at(-1)!.path.endsWith("?key=k3y%2Fwith%3Fchars"));
  }
  t.is(target.received.at(-1)!.headers.authorization, `Basic ${btoa("user:pa55word")}`);
  const gone = await call({ url: `\${HOOK}` }, { secrets: { HOOK: "http://127.0.0.1:1/t0ken" } });
  t.is(said(gone), "unreachable: ***: the connection was refused");
  const refused = await call({ url: `\${HOOK}` }, { secrets: { HOOK: "http://10.9.8.7/t0ken" } });
  t.regex(said(refused), /^http\/address: \*\*\* is not a public address.*networks: \[its address\]$/);
});

test("expectStatus and expectBody decide about success; a regular expression that never ends is stopped", async (t) => {
  await using target = await startHttpTarget(({ path }) =>
    path === "/404" ? { status: 404, body: "none" } : { status: 200, body: `first\nstate: ok\n${"a".repeat(40)}!` },
  );
  t.is(said(await call({ url: `${target.url}/404`, expectStatus: ["200-204", 404] })), "exit 0");
  t.regex(said(await call({ url: `${target.url}/404` })), /^http\/status: GET \S+\/404: 404 Not Found; expected: 2xx$/);
  t.is(said(await call({ url: target.url, expectBody: "^state: (ok|idle)$" })), "exit 0");
  t.regex(said(await call({ url: target.url, expectBody: "state: bad" })), /^http\/body: GET \S+: the body does not match/);
  t.regex(said(await call({ url: target.url, expectBody: "^(a+)+$" })), /^runner\/spec: run\.http\.expectBody: it takes more than 2 s/);
});

test("Retry-After of 429 and 503 is passed on, bounded; of other statuses not", async (t) => {
  const after = (status: number, value: string) => ({ status, headers: { "retry-after": value } });
  const replies = [
    ...[after(429, "17"), after(503, "99999999"), after(500, "17"), after(503, "soon"), after(503, "-5")],
    ...[after(429, "Wed, 21 Oct 2015 07:28:00 GMT"), after(503, "Fri, 01 Jan 2100 00:00:00 GMT")],
  ];
  await using target = await startHttpTarget(({ path }) => replies[Number(path.slice(1))]!);
  const waits = await Promise.all(replies.map(async (_, index) => (await call({ url: `${target.url}/${index}` })).retryAfterMs));
  t.deepEqual(waits, [17_000, 86_400_000, undefined, undefined, undefined, 0, 86_400_000]);
});

test("compressed bodies are logged and matched as what they are; HEAD, 204 and empty ones have none", async (t) => {
  const text = `${"hello ".repeat(1000)}end\n`;
  const bodies: Record<string, Buffer> = {
    gzip: gzipSync(text),
    br: brotliCompressSync(text),
    deflate: deflateSync(text),
    "gzip, br": brotliCompressSync(gzipSync(text)),
  };
  for (const [encoding, bytes] of Object.entries(bodies)) {
    await using peer = await startRawPeer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${bytes.length}\r\n\r\n`);
      socket.end(bytes);
    });
    const end = await call({ url: peer.url, expectBody: "hello end" });
    t.is(said(end), "exit 0", encoding);
    t.true(end.log.endsWith(`\n\n${text}`), encoding);
    const head = await call({ url: peer.url, method: "HEAD" });
    t.is(said(head), "exit 0");
  }
  await using empty = await startRawPeer((socket) => void socket.end("HTTP/1.1 204 No Content\r\ncontent-encoding: gzip\r\n\r\n"));
  t.is(said(await call({ url: empty.url })), "exit 0");
  await using broken = await startRawPeer((socket) => void socket.end(okWith("this is not gzip", ["content-encoding: gzip"])));
  t.regex(said(await call({ url: broken.url })), /^http\/protocol: .* not compressed as its content-encoding says/);
});

test("a server that never answers, one that falls silent, and one that is not there", async (t) => {
  await using silent = await startSilentTarget();
  const url = `http://127.0.0.1:${silent.port}/`;
  t.is(said(await call({ url, idleTimeout: "300ms" })), `http/idle: GET ${url}: no response within 300ms (idleTimeout)`);
  await using half = await startRawPeer((socket) => void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
  const stuck = await call({ url: half.url, idleTimeout: "300ms" });
  t.regex(said(stuck), /^http\/idle: .*silent for 300ms in the middle of the response/);
  t.true(stuck.log.endsWith("\n\nhalf"), "what came is in the log");
  t.is(said(await call({ url: "http://127.0.0.1:1/" })), "unreachable: 127.0.0.1:1: the connection was refused");
  const lost = await call({ url: "http://nowhere.example/" }, { lookUp: async () => [] });
  t.regex(said(lost), /^unreachable: nowhere\.example: the host name is not found/);
  const slow = await call({ url: "http://slow.example/", connectTimeout: "300ms" }, { lookUp: () => new Promise(() => {}) });
  t.is(said(slow), "unreachable: slow.example: no connection within 300ms (connectTimeout)");
  const tls = await call({ url: `https://127.0.0.1:${silent.port}/`, connectTimeout: "300ms" });
  t.regex(said(tls), /^unreachable: .* no connection within 300ms/);
  for (const end of [lost, slow, tls]) t.deepEqual(end.traces, [], "nothing was begun");
});

test("a response that is cut is told as cut, what is no HTTP as that", async (t) => {
  const answers: [string, RegExp][] = [
    ["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", /^http\/cut: /],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", /^http\/cut: /],
    ["", /^http\/cut: GET \S+: the connection was cut before the response was complete$/],
    ["SSH-2.0-OpenSSH_9.2\r\n", /^http\/protocol: /],
    ["HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 10\r\n\r\nhalf", /^http\/status: .* 503 Busy/],
  ];
  for (const [answer, words] of answers) {
    await using peer = await startRawPeer((socket) => void socket.end(answer));
    t.regex(said(await call({ url: peer.url })), words);
  }
});

test("close ends every call; a call whose host died is lost, and not made again", async (t) => {
  await using target = await startHttpTarget(() => "never");
  const one = startCall({ url: target.url });
  const again = one.recover(one.traces.at(-1));
  t.deepEqual((await again.done).outcome, { type: "lost", why: "session" });
  one.close();
  t.deepEqual((await one.done).outcome, { type: "signal", name: "SIGKILL" });
  t.true(target.received.length <= 1);
});

test("kill ends a call at once, wherever it is", async (t) => {
  await using target = await startHttpTarget(() => "drip");
  const dripping = startCall({ url: target.url, idleTimeout: "1s" });
  const begun = Promise.withResolvers<void>();
  const onWrite = () => {
    begun.resolve();
    return new Promise<void>(() => {});
  };
  const slow = startCall({ url: target.url }, { onWrite });
  const looking = startCall({ url: "http://slow.example" }, { lookUp: () => new Promise(() => {}) });
  await begun.promise;
  for (const one of [dripping, slow, looking]) {
    one.session.kill("TERM");
    one.session.kill("KILL");
    t.deepEqual((await one.done).outcome, { type: "signal", name: "SIGTERM" });
  }
});
