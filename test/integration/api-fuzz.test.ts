import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import test from "ava";
import fc from "fast-check";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type FuzzRequest, fuzzRequests } from "../support/api-fuzz.ts";
import { createTruth, type OpenApiDocument } from "../support/api-truth.ts";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet } from "../support/fake-agent.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";

const REQUESTS = 6000;
/** Another one finds other faults: FUZZ_SEED=… */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_121);
const AT_ONCE = 16;
const SLOW_MS = 20_000;

type Answer = {
  readonly status: number;
  readonly type: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  readonly tookMs: number;
};

async function send(master: MasterProcess, agent: Agent, { method, target, headers, body }: FuzzRequest): Promise<Answer> {
  const begunMs = systemClock.mono();
  const asked = request(master.url + target, {
    ...{ method, agent, path: target, timeout: SLOW_MS },
    headers: { authorization: `Bearer ${master.token}`, ...headers },
  });
  asked.on("timeout", () => asked.destroy(new Error(`no answer within ${SLOW_MS} ms`)));
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return {
    status: answer.statusCode ?? 0,
    type: answer.headers["content-type"] ?? "",
    headers: answer.headers,
    text,
    tookMs: systemClock.mono() - begunMs,
  };
}

/** Streams have tests of their own; these end the session or revoke the token that the others go on with, or send to the world. */
function skip(method: string, path: string): boolean {
  return /\/(events|follow)$/.test(path) || (method !== "GET" && /\/(tokens|sessions?|test)\b/.test(path)) || !path.startsWith("/api/");
}

test("thousands of requests out of the document: never a 500, never a hang, never an untrue answer", async (t) => {
  t.timeout(240_000);
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd, args: ["--rate-limit", "0"] });
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await joinFleet(kv, "n");
  await kv.close();
  const rules = [{ mode: "cycle", timer: "@yearly" }];
  for (const id of ["n", "x"])
    t.is((await master.ask("PUT", `/jobs/n/${id}`, { spec: { run: { command: { script: "true" } }, rules } })).status, 201);
  const document = (await (await fetch(`${master.url}/api/v1/openapi.json`)).json()) as OpenApiDocument;
  const { check } = createTruth(document);
  const requests = fc.sample(fuzzRequests(document, ["n", "x", "n/x"], skip), { numRuns: REQUESTS, seed: SEED });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const wrong: string[] = [];
  const seen = new Map<number, number>();
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < requests.length; at = next++) {
      const one = requests[at];
      if (one === undefined) return;
      const say = (what: string) => wrong.push(`${what}: ${JSON.stringify(one).slice(0, 1500)}`);
      try {
        const { status, type, text, headers } = await send(master, agent, one);
        seen.set(status, (seen.get(status) ?? 0) + 1);
        if (status >= 500 && status !== 503 && status !== 504) say(`${status} ${text}`);
        if ("x-injected" in headers) say("a header was injected");
        const body = /json/.test(type) ? (JSON.parse(text) as unknown) : undefined;
        const untrue = check(one.method, new URL(one.target, master.url).pathname, status, type, body);
        if (untrue !== undefined) say(untrue);
      } catch (error) {
        say(String(error));
      }
    }
  };
  const begunMs = systemClock.mono();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  agent.destroy();
  t.log(`${REQUESTS} requests in ${Math.round(systemClock.mono() - begunMs)} ms: ${JSON.stringify([...seen].sort())}`);
  t.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${REQUESTS}`);
  t.true((seen.get(200) ?? 0) > REQUESTS / 20, "enough of them were understood");
  t.is((await master.ask("GET", "/info")).status, 200);
  t.notRegex(master.log(), /internal\/bug/);
  t.is(Object.hasOwn(Object.prototype, "x"), false);
});

/** Bytes as they are; resolves with all that comes until the connection ends. */
async function raw(master: MasterProcess, bytes: string | Buffer, half = false): Promise<string> {
  const { hostname, port } = new URL(master.url);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => {});
  socket.write(bytes);
  if (half) socket.end();
  await once(socket, "close");
  return text;
}

test("what no client sends: raw bytes in the head, paths that climb, bodies that lie", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const auth = `authorization: Bearer ${master.token}\r\nhost: x\r\nconnection: close\r\n`;
  const get = (path: string) => `GET ${path} HTTP/1.1\r\n${auth}\r\n`;
  const paths = [
    "/api/v1/jobs/a\0b/c",
    "/api/v1/jobs/a%00b/c",
    "/api/v1/jobs/..%2f..%2fetc/passwd",
    "/api/v1/executions/..%2f..%2f..%2fetc%2fpasswd/log",
    "/api/v1/executions/%2e%2e/log",
    "/api/v1/../../../../etc/passwd",
    "/../../../../etc/passwd",
    "/..%5c..%5cwindows",
    "/assets/../../package.json",
    "/assets/..%2f..%2fpackage.json",
    "/assets/%2e%2e/%2e%2e/package.json",
    "/assets/....//....//package.json",
    "//etc/passwd",
    "/%",
    "/%ff",
    "/api/v1/jobs/%ff%fe/x",
    `/${"a/".repeat(3000)}`,
    "http://elsewhere/api/v1/jobs",
    "*",
    "/api/v1/jobs?cursor=%00",
    "/api/v1/jobs?__proto__=1&constructor=2",
    "/api/v1/jobs?limit[]=1&limit[__proto__]=2",
  ];
  for (const path of paths) {
    const answer = await raw(master, get(path));
    t.regex(answer, /^HTTP\/1\.1 [234]\d\d /, path);
    t.notRegex(answer, /root:|"devDependencies"|"exports"/, path);
  }
  const put = (length: string, body: string, type = "application/json") =>
    `PUT /api/v1/jobs/g/x HTTP/1.1\r\n${auth}content-type: ${type}\r\n${length}\r\n${body}`;
  const bodies = [
    put("content-length: 5\r\n", '{"a":1}'),
    put("content-length: -1\r\n", "{}"),
    put("content-length: 2\r\ncontent-length: 3\r\n", "{} "),
    put("content-length: 2\r\ntransfer-encoding: chunked\r\n", "{}"),
    put("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n"),
    put("transfer-encoding: chunked\r\n", "ffffffffffffffff\r\n{}\r\n"),
    put("content-length: 4\r\n", "\xff\xfe\xfd\xfc"),
    put("content-length: 2\r\ncontent-encoding: gzip\r\n", "{}"),
    put("content-length: 2\r\nexpect: 100-continue\r\n", "{}"),
    put("content-length: 2\r\nexpect: nonsense\r\n", "{}"),
    put("content-length: 2\r\nupgrade: websocket\r\n", "{}"),
    put("content-length: 2\r\nx: a\r\n b\r\n", "{}"),
    put("content-length: 2\r\n\0: a\r\n", "{}"),
    put("content-length: 2\r\nx: \x7f\x00\r\n", "{}"),
    put("content-length: 3000000\r\n", "x".repeat(3_000_000)),
    "TRACE /api/v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET /api/v1/jobs HTTP/9.9\r\n\r\n",
    "GET /api/v1/jobs\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01",
  ];
  for (const bytes of bodies) {
    const answer = await raw(master, Buffer.from(bytes, "latin1"), true);
    t.regex(answer, /^$|^HTTP\/1\.1 [1234]\d\d /, JSON.stringify(bytes.slice(0, 300)));
  }
  t.is((await master.ask("GET", "/jobs")).status, 200);
  t.notRegex(master.log(), /internal\/bug/);
});

test("clients that are slow hold nobody up", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const { hostname, port } = new URL(master.url);
  const sockets = Array.from({ length: 200 }, (_, n) => {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    const head = `PUT /api/v1/jobs/g/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${master.token}\r\ncontent-type: application/json\r\n`;
    socket.write(n % 2 === 0 ? head : `${head}content-length: 1000\r\n\r\n{"spec":`);
    return socket;
  });
  const times: number[] = [];
  for (let n = 0; n < 50; n++) {
    const begunMs = systemClock.mono();
    t.is((await master.ask("GET", "/jobs")).status, 200);
    times.push(systemClock.mono() - begunMs);
  }
  t.true(times.toSorted((a, b) => a - b)[25]! < 200, `${times.join()}`);
  for (const socket of sockets) socket.destroy();
});
