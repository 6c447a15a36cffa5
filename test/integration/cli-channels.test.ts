/** `channels:` in files and `fleetcron channel …`, on a real master. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type Cli, createCli, type Expected, expectRun, type RunOptions } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { tempFolder } from "../support/processes.ts";
import { type HttpTarget, startHttpTarget } from "../support/targets.ts";

const TOKEN = "xoxb-Tok3n-that-nobody-may-see";
const shared = {} as { etcd: EtcdServer; fleet: Fleet; cli: Cli; target: HttpTarget; secrets: string; end(): void };
const ran = (t: ExecutionContext, args: string | readonly string[], expected: Expected, options?: RunOptions) =>
  expectRun(t, shared.cli, args, expected, options);

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.target = await startHttpTarget(({ path }) =>
    path.startsWith("/bad") ? { status: 404, body: `no_service ${TOKEN}` } : { status: 200, body: "ok" },
  );
  const temp = tempFolder();
  shared.end = () => temp[Symbol.dispose]();
  shared.secrets = join(temp.path, "secrets");
  mkdirSync(shared.secrets);
  writeFileSync(join(shared.secrets, "slack"), `${shared.target.url}/services/${TOKEN}\n`);
  const masterArgs = ["--notify-allow", "127.0.0.1", "--notify-secrets-dir", shared.secrets];
  shared.fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: ["a"], masterArgs });
  const { url, token, folder } = shared.fleet;
  shared.cli = createCli(folder, { FLEETCRON_SERVER: url, FLEETCRON_TOKEN: token });
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.target?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
  shared.end?.();
});

const file = () => `channels:
  chat: { description: the team, atMostEvery: "0", slack: { url: { file: slack } } }
  broken: { atMostEvery: "0", webhook: { url: "${shared.target.url}/bad/${TOKEN}", headers: { x-key: ${TOKEN} } } }
jobs:
  n/fails: { kind: interval, run: { command: { script: "echo sorry; exit 3" } }, rules: [{ mode: manyonce }], notify: [{ on: [finalFailure], to: [chat], mention: [U1] }] }
`;

test.serial("a file's channels are applied with its jobs, shown masked, tested, and kept while jobs name them", async (t) => {
  const first = await ran(t, "apply -f -", { code: 0, out: /\+ channel chat created/ }, { stdin: file() });
  t.regex(first.out, /webhook\.headers\.x-key: "\*{8}"/);
  await ran(t, "apply -f -", { code: 0, out: /= channel chat unchanged[\s\S]*3 unchanged/ }, { stdin: file() });
  const list = await ran(t, "channel ls", { code: 0, out: /broken +webhook +0 +0[\s\S]*chat +slack +\d +0/ });
  const show = await ran(t, "channel show broken", { code: 0, out: /url: http:\/\/127\.0\.0\.1:\d+\/\*{8}/ });
  const json = await ran(t, "channel show broken -o json", { code: 0, out: /"x-key": "\*{8}"/ });
  await ran(t, "channel show chat", { code: 0, out: /file: slack/ });

  await ran(t, "channel test chat", { code: 0, out: /^delivered after [\d.]+m?s: HTTP 200: ok\n$/ });
  t.is(shared.target.received.filter(({ text }) => text.includes("A test of channel chat")).length, 1);
  const bad = await ran(t, "channel test broken", { code: 1, out: /^not delivered after [\d.]+m?s: HTTP 404: no_service \*{8}\n$/ });
  await ran(t, "channel test chta", { code: 3, err: /there is no channel chta\n {2}to do: did you mean "chat"\?/ });
  await ran(t, "channel rm chat", { code: 4, err: /channel chat is named by n\/fails/ });
  for (const { out, err } of [first, list, show, json, bad]) t.false((out + err).includes(TOKEN));
  t.false(shared.fleet.logs().includes(TOKEN));
});

test.serial("a job that fails on an agent is told, with who is to be mentioned", async (t) => {
  const message = await eventually("the message", async () => shared.target.received.find(({ text }) => text.includes("n/fails")));
  t.regex(message.body.text as string, /^<@U1> n\/fails failed on a: exit code 3$/);
  t.false(message.text.includes("sorry"), "no output unless the channel says so");
  await eventually("the note", async () => (await shared.cli("channel deliveries --state delivered")).out.includes("n/fails failed on a"));
  await ran(t, "channel deliveries --state failed", { code: 0, err: /there are no deliveries that match/ });
  await ran(t, "channel retry 01NOSUCHDELIVERY", { code: 3, err: /there is no delivery/ });
});

test.serial("what is wrong with channels and rules is told with its place, and never with the secret", async (t) => {
  const refused = async (stdin: string, err: RegExp) => {
    const { err: said } = await ran(t, "apply -f -", { code: 2, err }, { stdin });
    t.false(said.includes(TOKEN), said);
  };
  const job = (notify: string) =>
    `jobs:\n  n/x: { run: { command: { script: "true" } }, rules: [{ mode: cycle, timer: "@daily" }], notify: [${notify}] }\n`;
  await refused(
    job("{ on: [finalFailure], to: [chta] }"),
    /jobs\.n\/x\.notify\[0\]\.to: there is no channel chta \(did you mean "chat"\?\)/,
  );
  await refused(job("{ on: [failed], to: [chat] }"), /:2: jobs\.n\/x\.notify\[0\]\.on\[0\]: found "failed"; .*did you mean/s);
  await refused(job("{ on: [success], after: 2, to: [chat] }"), /notify\[0\]\.after: counts failures in a row/);
  await refused(
    `channels:\n  x: { slak: { url: "http://${TOKEN}" } }\n`,
    /:2: channels\.x\.slak: there is no such field \(did you mean "slack"\?\)/,
  );
  await refused(`channels:\n  x:\n    slack: { url: "ftp://${TOKEN}" }\n`, /:3: channels\.x\.slack\.url: is not an address/);
  await refused(
    `channels:\n  x: { slack: { url: { file: a, fil: ${TOKEN} } } }\n`,
    /channels\.x\.slack\.url\.fil: there is no such field \(did you mean "file"\?\)/,
  );
  await refused(
    `channels:\n  x: { webhook: { url: { env: HOME } } }\n`,
    /webhook\.url\.env: is no variable that channels may name \(its name begins with FLEETCRON_SECRET_\)/,
  );
  await refused(`channels:\n  x: { description: nothing }\n`, /channels\.x: says not where to send to \(exactly one of webhook,/);
  await refused(`channels:\n  x: { webhook: { url: "http://h/********" } }\n`, /is a masked value/);
  await refused(`channels:\n  x: { email: { host: h, from: a@b.c, to: [a@b.c], user: u } }\n`, /has one of user and password/);
  await refused(`channel:\n  x: {}\n`, /did you mean "channels"\?/);
});

test.serial("without leave, nothing is sent to this host", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 200 }));
  await using strict = await startFleet({ etcd: shared.etcd.endpoints, nodes: [], masterArgs: ["--notify-secrets-dir", shared.secrets] });
  const cli = createCli(strict.folder, { FLEETCRON_SERVER: strict.url, FLEETCRON_TOKEN: shared.fleet.token });
  await expectRun(t, cli, "apply -f -", { code: 0 }, { stdin: `channels:\n  local: { webhook: { url: "${target.url}/" } }\n` });
  await expectRun(t, cli, "channel test local", {
    code: 1,
    out: /127\.0\.0\.1 is not a public address\n {2}to do: if it is meant, let the masters send there: notifyAllow: \[127\.0\.0\.1\]/,
  });
  await expectRun(t, cli, "channel rm local", { code: 0, out: /channel local deleted/ });
  t.is(target.received.length, 0);
});
