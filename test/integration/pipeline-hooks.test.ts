/** Webhooks of GitLab, GitHub and Gitee over real HTTP to real masters on a real etcd, with signatures as the platforms make them. */
import test from "ava";
import type { PipelineRunView } from "fleetcron/http/pipeline-schema";
import { systemClock } from "fleetcron-shared/base/clock";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { keys } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { deliver, gitee, github, gitlab, HOOK_SECRET, payload, secretsFolder } from "../support/hooks.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, task } from "../support/pipelines.ts";
import { tempFolder } from "../support/processes.ts";

const secret = { file: "hook" };
const facts = {
  COMMIT: "${commit}",
  BRANCH: "${branch}",
  TAG: "${tag}",
  AUTHOR: "${author}",
  REPO: "${repository}",
  MESSAGE: "${message}",
};
const spec: PipelineSpec = {
  params: [...Object.keys(facts), "EVENT", "URL"].map((name) => ({ name })),
  tasks: [task("build")],
  triggers: [
    {
      name: "gl",
      gitlab: { secret, events: ["push", "tag"], branches: ["main"], tags: ["v*"] },
      params: facts,
      labels: { branch: "${branch}" },
    },
    { name: "gh", github: { secret, branches: ["release/*"] }, params: { ...facts, EVENT: "${event}", URL: "${url}" } },
    { name: "gh-tags", github: { secret, events: ["tag"], tags: ["/^simple-/"] }, params: facts },
    { name: "ge", gitee: { secret, branches: ["change_**"] }, params: facts },
    { name: "paused", github: { secret }, pause: true },
    { name: "no-secret", github: { secret: { file: "nowhere" } } },
    { name: "nightly", rule: { timer: "0 3 * * *" } },
  ],
};

type World = { readonly kv: Kv; readonly master: MasterProcess; readonly endpoints: readonly string[]; readonly args: readonly string[] };

async function inWorld(act: (world: World) => Promise<void>): Promise<void> {
  await using etcd = await startEtcd();
  using temp = tempFolder();
  const args = ["--notify-secrets-dir", secretsFolder(temp.path), "--session-ttl", "2s"];
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess({ ...etcd, args });
  const put = await master.ask("PUT", "/pipelines/ci/app", { spec });
  if (put.status !== 200) throw new Error(JSON.stringify(put.body));
  await act({ kv, master, args, endpoints: etcd.endpoints }).finally(() => kv.close());
}

const runsIn = async (kv: Kv) => (await kv.range({ ...prefixRange(keys.runs), keysOnly: true })).kvs.length;
const viewOf = async (master: MasterProcess, run: unknown) => (await master.ask<PipelineRunView>("GET", `/runs/${String(run)}`)).body;

test("each platform's push and tag starts a run with the event's facts", (t) =>
  inWorld(async ({ kv, master }) => {
    await using worker = await startOrderWorker(kv, { a: {} }, () => ({}));
    const push = await deliver(master, "ci/app/gl", gitlab(payload("gitlab-push")));
    t.is(push.status, 200, JSON.stringify(push.body));
    t.like(push.body, { accepted: true, pipeline: "ci/app", repeated: false });
    const run = await runUntil(master, String(push.body.run), "it runs", hasEnded);
    t.is(run.state, "succeeded");
    t.like(run, { trigger: "gitlab/gl", by: "gitlab: GitLab dev user", labels: { branch: "main" } });
    const commit = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";
    const message = "fixed readme\n\nIt said $(rm -rf /) and `date`.\n";
    t.deepEqual(run.params, { COMMIT: commit, BRANCH: "main", AUTHOR: "GitLab dev user", REPO: "mike/diaspora", MESSAGE: message });
    t.like(worker.orders[0]?.order.spec.env, { COMMIT: commit, MESSAGE: message, TAG: "" });

    const tag = await deliver(master, "ci/app/gl", gitlab(payload("gitlab-tag"), { "x-gitlab-event": "Tag Push Hook" }));
    t.like((await viewOf(master, tag.body.run)).params, { TAG: "v1.0.0", COMMIT: commit, REPO: "mike/diaspora" });

    const hub = await deliver(master, "ci/app/gh", github(payload("github-push")));
    t.like((await viewOf(master, hub.body.run)).params, {
      COMMIT: "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
      BRANCH: "release/1.2",
      AUTHOR: "Codertocat",
      REPO: "Codertocat/Hello-World",
      EVENT: "push",
      URL: "https://github.com/Codertocat/Hello-World.git",
    });
    const hubTag = await deliver(master, "ci/app/gh-tags", github(payload("github-tag")));
    t.like((await viewOf(master, hubTag.body.run)).params, { TAG: "simple-tag", COMMIT: "6113728f27ae82c7b1a177c8d03f9e96e0adf246" });
    const form = github(new URLSearchParams({ payload: payload("github-push") }).toString(), {
      "content-type": "application/x-www-form-urlencoded",
    });
    t.is((await deliver(master, "ci/app/gh", form)).status, 200, "the other content type of GitHub");

    const gee = await deliver(master, "ci/app/ge", gitee(payload("gitee-push"), systemClock.now()));
    t.like((await viewOf(master, gee.body.run)).params, { BRANCH: "change_commitlint_config", AUTHOR: "robot", REPO: "China/Gitee" });
    t.is(await runsIn(kv), 6);
  }));

test("who does not show the secret is refused, and learns nothing", (t) =>
  inWorld(async ({ kv, master }) => {
    const body = payload("github-push");
    const hour = 3_600_000;
    const refused = [
      ["gl", gitlab(body, { "x-gitlab-token": "wrong" })],
      ["gl", { body, headers: { "content-type": "application/json" } }],
      ["gh", github(body, { "x-hub-signature-256": "sha256=00" })],
      ["gh", { ...github(body), body: `${body} ` }],
      ["gh", github(body, { "x-hub-signature-256": "" })],
      ["gh", gitlab(body)],
      ["ge", gitee(payload("gitee-push"), systemClock.now() - 2 * hour)],
      ["nope", github(body)],
      ["nightly", github(body)],
    ] as const;
    for (const [trigger, delivery] of refused) {
      const { status, body: answer } = await deliver(master, `ci/app/${trigger}`, delivery);
      t.deepEqual([trigger, status, answer.code], [trigger, 401, "hook/denied"]);
    }
    const none = await deliver(master, "ci/none/gh", github(body));
    t.deepEqual([none.status, none.body.code], [401, "hook/denied"], "which pipelines there are is not told");
    const broken = await deliver(master, "ci/app/no-secret", github(body));
    t.deepEqual([broken.status, broken.body.code], [503, "hook/secret"]);
    t.notRegex(JSON.stringify(broken.body), /nowhere/);
    t.regex(master.log(), /nowhere/, "the master's log says where it looked");
    t.is((await deliver(master, "ci/app/gh", github("{"))).status, 400);
    const large = await deliver(master, "ci/app/gh", github("x".repeat(6 * 2 ** 20)));
    t.deepEqual([large.status, large.body.code], [413, "input/too-large"]);
    t.is(await runsIn(kv), 0);

    const statuses: number[] = [];
    for (let i = 0; i < 30; i++) statuses.push((await deliver(master, "ci/app/gh", gitlab(body))).status);
    t.deepEqual([...new Set(statuses)], [401, 429], "guessing is slowed down");
    const limited = await deliver(master, "ci/app/gh", gitlab(body));
    t.is(limited.headers.get("retry-after"), "1");
    t.is((await deliver(master, "ci/app/ge", gitee(payload("gitee-push")))).status, 200, "other triggers are not held up");
    const shown = JSON.stringify((await master.ask("GET", "/pipelines/ci/app")).body);
    t.false(shown.includes(HOOK_SECRET) || master.log().includes(HOOK_SECRET));
  }));

test("what a trigger does not want is taken and told why; a paused one too", (t) =>
  inWorld(async ({ kv, master }) => {
    const other = payload("gitlab-push").replace("refs/heads/main", "refs/heads/main2");
    const unwanted = [
      ["gl", gitlab(other), /branch main2/],
      ["gl", gitlab(payload("gitlab-tag").replace("v1.0.0", "x1")), /tag x1/],
      ["gl", gitlab('{"object_kind":"merge_request"}'), /"merge_request" is not about/],
      ["gh", github(payload("github-tag")), /event tag/],
      ["gh", github(payload("github-deleted")), /was deleted/],
      ["gh", github(payload("github-ping"), { "x-github-event": "ping" }), /"ping"/],
      ["gh", github(payload("github-push").replace("release/1.2", "release/1/2")), /branch release\/1\/2/],
      ["ge", gitee(payload("gitee-tag"), systemClock.now()), /event tag/],
      ["paused", github(payload("github-push")), /paused/],
    ] as const;
    for (const [trigger, delivery, reason] of unwanted) {
      const { status, body } = await deliver(master, `ci/app/${trigger}`, delivery);
      t.deepEqual([status, body.accepted], [202, false], JSON.stringify(body));
      t.regex(String(body.reason), reason);
    }
    t.is(await runsIn(kv), 0);
  }));

test("a delivery is one run: repeated, at once to two masters, and when the leader dies under it", (t) =>
  inWorld(async ({ kv, master, args, endpoints }) => {
    await using second = await startMasterProcess({ endpoints, args, token: master.token });
    const delivery = github(payload("github-push"));
    const answers = await Promise.all([master, second, master, second, second, master].map((one) => deliver(one, "ci/app/gh", delivery)));
    t.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 200),
      JSON.stringify(answers.map(({ body }) => body)),
    );
    t.is(new Set(answers.map(({ body }) => body.run)).size, 1);
    t.is(answers.filter(({ body }) => body.repeated === false).length, 1);
    const first = String(answers[0]?.body.run);
    t.is(await runsIn(kv), 1);
    const once = gitee(payload("gitee-push"));
    const [a, b] = [await deliver(master, "ci/app/ge", once), await deliver(second, "ci/app/ge", once)];
    t.is(a.body.run, b.body.run, "Gitee gives no delivery id: the same push is the same delivery");

    // The leader is killed while deliveries come in; the platform repeats those that were not answered, at the other master.
    const many = Array.from({ length: 20 }, () => github(payload("github-push")));
    const replies = many.map((one) => deliver(master, "ci/app/gh", one).catch(() => undefined));
    await Promise.race(replies);
    await master.kill();
    const got = await Promise.all(replies);
    const again = await Promise.all(many.map((one) => deliver(second, "ci/app/gh", one)));
    t.deepEqual([...new Set(again.map(({ status }) => status))], [200]);
    for (const [index, reply] of got.entries()) if (reply !== undefined) t.is(again[index]?.body.run, reply.body.run);
    t.is(new Set(again.map(({ body }) => body.run)).size, many.length);
    t.is(await runsIn(kv), 2 + many.length);

    await using worker = await startOrderWorker(kv, { a: {}, b: {} }, () => ({}));
    await eventually("the next leader runs all of them", async () => (await kv.range(prefixRange(keys.unfinishedAll))).kvs.length === 0);
    t.is((await viewOf(second, first)).state, "succeeded");
    t.is(worker.count("build"), 2 + many.length);
  }));
