import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { ChannelSpec } from "fleetcron-shared/model/channel";
import type { Delivery } from "fleetcron-shared/model/notice";
import { signature } from "../../packages/master/src/notify/formats/webhook.ts";
import { type SendDeps, send } from "../../packages/master/src/notify/send.ts";
import { createAddressPolicy } from "../../packages/master/src/notify/target-addresses.ts";
import { type Reply, startHttpTarget, startMailTarget, startSilentTarget } from "../support/targets.ts";

const TOKEN = "tok3n-that-nobody-may-see";
const delivery: Delivery = {
  ...{ v: 1, id: "01DELIVERY", channel: "ops", state: "sealed", createdAt: "2027-01-31T08:00:00.000Z", omitted: 0, tries: 0 },
  items: [
    {
      notice: {
        ...{
          id: "E-1",
          at: "2027-01-31T08:00:00.000Z",
          events: ["finalFailure"],
          severity: "bad",
          title: "db/backup failed on wéb-1: exit code 1",
        },
        subject: { kind: "job", group: "db", id: "backup", name: "backup" },
        data: { node: "wéb-1" },
      },
      mention: [],
      count: 1,
    },
  ],
};

function depsWith(more: { allow?: readonly string[]; lookUp?: () => Promise<readonly string[]>; timeoutMs?: number } = {}): SendDeps {
  const { allow = ["127.0.0.1"], lookUp = async () => ["127.0.0.1"], timeoutMs = 5000 } = more;
  const addresses = createAddressPolicy({ lookUp }, allow);
  const secrets = { env: { FLEETCRON_SECRET_TOKEN: TOKEN }, secretsDir: "/nonexistent" };
  return { clock: systemClock, addresses, secrets, version: "1.2.3", timeoutMs };
}
const trySend = (spec: ChannelSpec, more: Parameters<typeof depsWith>[0] = {}) => send(depsWith(more), spec, delivery);

test("a webhook gets the JSON, the id, its headers and a signature that verifies", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 202, body: "thanks" }));
  const sent = await trySend({
    webhook: {
      url: `${target.url}/hook?x=1`,
      secret: { env: "FLEETCRON_SECRET_TOKEN" },
      headers: { Authorization: { env: "FLEETCRON_SECRET_TOKEN" } },
    },
  });
  t.like(sent, { ok: true, status: 202, text: "HTTP 202: thanks" });
  const [one] = target.received;
  t.is(one!.path, "/hook?x=1");
  t.like(one!.headers, { authorization: TOKEN, "webhook-id": "01DELIVERY", "user-agent": "Fleetcron/1.2.3", host: target.host });
  t.is(one!.headers["webhook-signature"], signature(TOKEN, "01DELIVERY", Number(one!.headers["webhook-timestamp"]), one!.text));
  t.like(one!.body, { id: "01DELIVERY", title: delivery.items[0]!.notice.title });
});

const REFUSALS: readonly [what: string, reply: Reply, text: RegExp, more: object][] = [
  ["500", { status: 500, body: "boom" }, /^HTTP 500: boom$/, { final: false }],
  ["429", { status: 429, headers: { "retry-after": "17" } }, /^HTTP 429$/, { retryAfterMs: 17_000 }],
  ["503 with a date", { status: 503, headers: { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" } }, /^HTTP 503$/, { retryAfterMs: 0 }],
  ["400", { status: 400, body: "no such field" }, /^HTTP 400: no such field$/, { final: true }],
  ["a reset", "reset", /^127\.0\.0\.1:\d+: the connection was cut$/, {}],
  ["no answer", "never", /^127\.0\.0\.1:\d+: no answer within 0\.3 s$/, {}],
  ["an endless answer", { status: 500, body: "x".repeat(1_000_000) }, /^HTTP 500: x+…$/, {}],
  ["a secret in the answer", { status: 403, body: `bad token ${TOKEN}` }, /^HTTP 403: bad token \*{8}$/, {}],
];
for (const [what, reply, text, more] of REFUSALS) {
  test(`${what} is told as what it is`, async (t) => {
    await using target = await startHttpTarget(() => reply);
    const sent = await trySend(
      { webhook: { url: target.url, headers: { "x-token": { env: "FLEETCRON_SECRET_TOKEN" } } } },
      { timeoutMs: what === "no answer" ? 300 : 5000 },
    );
    t.regex(sent.text, text);
    t.like(sent, { ok: false, ...more });
    t.is(target.received.length, 1);
  });
}

test("an answer that drips is cut off by the same deadline", async (t) => {
  await using target = await startHttpTarget(() => "drip");
  const sent = await trySend({ slack: { url: `${target.url}/services/${TOKEN}` } }, { timeoutMs: 200 });
  t.false(sent.ok);
  t.true(sent.tookMs < 1500, `${sent.tookMs} ms`);
  t.false(sent.text.includes(TOKEN));
});

test("a redirect is not followed, and its address is not told", async (t) => {
  await using inside = await startHttpTarget(() => ({ status: 200 }));
  await using target = await startHttpTarget(() => ({ status: 307, headers: { location: `${inside.url}/${TOKEN}` } }));
  const sent = await trySend({ webhook: { url: target.url } });
  t.regex(sent.text, /^HTTP 307: the target answers with a redirect to 127\.0\.0\.1:\d+, which is not followed$/);
  t.is(inside.received.length, 0);
});

test("private addresses are refused before anything is sent, however they are written", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  const port = new URL(target.url).port;
  for (const host of ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"]) {
    const sent = await trySend({ webhook: { url: `http://${host}:${port}/` } }, { allow: [] });
    t.is(sent.code, "channel/refused", host);
    t.regex(sent.hint ?? "", /notifyAllow/);
  }
  const mail = await trySend(
    { email: { host: "relay.example", port: Number(port), security: "none", from: "a@b.c", to: ["d@e.f"] } },
    { allow: [] },
  );
  t.is(mail.code, "channel/refused");
  t.is(target.received.length, 0);
});

test("a name that turns private between the look and the connection gains nothing", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  // The system's own resolver would find the target; the look finds 192.0.2.1, which is nobody's, and allowed here.
  let looks = 0;
  const lookUp = async () => {
    looks += 1;
    return ["192.0.2.1"];
  };
  const { port } = new URL(target.url);
  const sent = await trySend({ webhook: { url: `http://localhost:${port}/` } }, { allow: ["192.0.2.1"], lookUp, timeoutMs: 500 });
  t.false(sent.ok);
  t.is(looks, 1);
  t.is(target.received.length, 0);
});

test("chat platforms' own refusals count although HTTP says 200", async (t) => {
  await using target = await startHttpTarget((request) => ({
    status: 200,
    body: request.path.startsWith("/ding")
      ? '{"errcode":310000,"errmsg":"sign not match"}'
      : '{"errcode":45009,"errmsg":"api freq out of limit"}',
  }));
  t.like(await trySend({ dingtalk: { url: `${target.url}/ding?access_token=${TOKEN}`, secret: "S" } }), {
    ok: false,
    text: 'the platform answered code 310000: {"errcode":310000,"errmsg":"sign not match"}',
  });
  t.like(await trySend({ wecom: { url: `${target.url}/wecom?key=${TOKEN}` } }), { ok: false, retryAfterMs: 60_000 });
  t.like(await trySend({ feishu: { url: `${target.url}/feishu/${TOKEN}` } }), { ok: false });
  t.is(target.received.length, 3);
});

const mailTo = (port: number, more: object = {}): ChannelSpec => ({
  email: { host: "127.0.0.1", port, security: "none", from: "cron@example.org", to: ["ops@example.org"], ...more },
});

test("mail arrives, in UTF-8, with the delivery's id", async (t) => {
  await using target = await startMailTarget();
  const sent = await trySend(mailTo(target.port));
  t.true(sent.ok, sent.text);
  t.regex(target.mails[0]!, /^Message-ID: <01DELIVERY@fleetcron>\r$/m);
  t.regex(target.mails[0]!, /^To: ops@example\.org\r$/m);
  t.regex(target.mails[0]!, /^Auto-Submitted: auto-generated\r$/m);
  t.regex(target.mails[0]!, /=\?UTF-8\?Q\?db\/backup_failed_on_w=C3=A9b-1/);
});

test("a mail server that refuses, logs nobody in, is silent or shows a strange certificate is told as what it is", async (t) => {
  await using refusing = await startMailTarget({
    onRcptTo: (_address, _session, done) => done(Object.assign(new Error("no such box"), { responseCode: 550 })),
  });
  t.regex((await trySend(mailTo(refusing.port))).text, /550 no such box/);
  await using locked = await startMailTarget({
    allowInsecureAuth: true,
    onAuth: (auth, _session, done) => done(Object.assign(new Error(`no entry with ${auth.password}`), { responseCode: 535 })),
  });
  const denied = await trySend(mailTo(locked.port, { user: "ops", password: { env: "FLEETCRON_SECRET_TOKEN" } }));
  t.regex(denied.text, /535/);
  t.false(denied.text.includes(TOKEN));
  await using silent = await startSilentTarget();
  t.regex((await trySend(mailTo(silent.port), { timeoutMs: 300 })).text, /^127\.0\.0\.1:\d+: not done within 0\.3 s$/);
  await using plain = await startMailTarget({ hideSTARTTLS: true, disabledCommands: ["STARTTLS"] });
  t.false((await trySend(mailTo(plain.port, { security: "starttls" }))).ok, "no mail in clear unless told so");
  await using strange = await startMailTarget();
  t.regex((await trySend(mailTo(strange.port, { security: "starttls" }))).text, /certificate|self.signed|altnames|key too small/i);
  t.is(plain.mails.length + strange.mails.length, 0);
  t.regex((await trySend(mailTo(1))).text, /^127\.0\.0\.1:1: the connection was refused$/);
});
