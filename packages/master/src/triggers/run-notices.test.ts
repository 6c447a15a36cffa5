/** What is told of runs: one notice for each thing, with words of its own, that every kind of channel can show. */
import test from "ava";
import type { Delivery, Notice } from "fleetcron-shared/model/notice";
import type { NotifyRule } from "fleetcron-shared/model/notify-rules";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { begin, task } from "fleetcron-shared/model/pipeline/step-contract";
import { dingtalkPost } from "../notify/formats/dingtalk.ts";
import { mailOf } from "../notify/formats/email.ts";
import { feishuPost } from "../notify/formats/feishu.ts";
import { slackPost } from "../notify/formats/slack.ts";
import { webhookPost } from "../notify/formats/webhook.ts";
import { wecomPost } from "../notify/formats/wecom.ts";
import { messageOf } from "../notify/message.ts";
import { noticesOfChange } from "./run-notices.ts";

const RULES: NotifyRule[] = [{ on: ["waiting", "taskFailed", "finalFailure", "success"], to: ["ops"], mention: ["U1"] }];
const AT = "2027-01-01T00:00:00.000Z";

/** Everything that is told while `act` happens, step by step. */
function toldWhile(run: ReturnType<typeof begin>, acts: readonly (() => unknown)[]): Notice[] {
  return acts.flatMap((act) => {
    const [before, count]: [RunDocument, number] = [run.run, run.effects.length];
    act();
    const change = { plan: run.plan, before, after: run.run, effects: run.effects.slice(count) };
    return noticesOfChange(RULES, change, undefined, AT).notices;
  });
}

test("approval, confirmation, the failure of a task and the end of a run: each told once, under an id of its own", (t) => {
  const people = { audit: { auditors: ["ann"] }, confirm: { checkers: ["bob"] } };
  const run = begin({ tasks: [task("build"), task("deploy", { needs: ["build"], ...people })] });
  const told = toldWhile(run, [
    () => run.order("build"),
    () => run.end("build"),
    () => run.do({ type: "tick" }),
    () => run.decide("audit", "deploy", "yes", "ann"),
    () => run.decide("audit", "deploy", "yes", "ann"),
    () => run.order("deploy"),
    () => run.end("deploy", false, { message: "exit:3" }),
    () => run.end("deploy", false),
    () => run.decide("confirm", "deploy", "no", "bob", "<b>broken</b>"),
  ]);
  t.deepEqual(
    told.map(({ id, events, title }) => [id, events[0], title.replace(/, until .*/, "")]),
    [
      ["r1.1.audit.deploy.1", "waiting", "g/p waits for ann to approve task deploy"],
      ["r1.1.confirm.deploy.1", "waiting", "g/p waits for bob to confirm task deploy"],
      ["r1.1.taskFailed.deploy.1", "taskFailed", "g/p failed at task deploy: rejected by bob: <b>broken</b>"],
      ["r1.1", "finalFailure", "g/p failed: task deploy failed: rejected by bob: <b>broken</b>"],
    ],
  );
  const items = told.map(({ v: _, to: __, ...notice }) => ({ notice, mention: ["U1"], count: 1 }));
  for (const some of [items, ...items.map((item) => [item])]) {
    const delivery: Delivery = { v: 1, id: "D", channel: "ops", state: "sealed", createdAt: AT, omitted: 0, tries: 0, items: some };
    const message = messageOf(delivery, false);
    const parcel = { delivery, message, nowMs: Date.parse(AT) };
    const chat = { url: "https://example.org/", secret: "s" };
    const posts = [slackPost(message, "x"), wecomPost(message, "x"), feishuPost(parcel, chat), dingtalkPost(parcel, chat)];
    for (const { body } of [...posts, webhookPost(parcel, { ...chat, headers: {}, output: false })]) {
      const text = JSON.stringify(JSON.parse(body));
      t.regex(text, /g\/p|Fleetcron: 4 notices/);
      t.notRegex(text, /undefined|\[object|NaN/);
    }
    t.regex(JSON.stringify(mailOf(parcel, { from: "a@example.org", to: ["b@example.org"] })), /g\/p|4 notices/);
  }
});
