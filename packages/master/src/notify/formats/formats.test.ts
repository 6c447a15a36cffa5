import { createHmac } from "node:crypto";
import test from "ava";
import type { Delivery, Notice } from "fleetcron-shared/model/notice";
import { messageOf } from "../message.ts";
import { dingtalkPost, dingtalkRefusal } from "./dingtalk.ts";
import { mailOf } from "./email.ts";
import { feishuPost, feishuRefusal } from "./feishu.ts";
import { slackPost } from "./slack.ts";
import { signature, webhookPost } from "./webhook.ts";
import { wecomPost, wecomRefusal } from "./wecom.ts";

const AT = "2027-01-31T08:00:00.000Z";
const nowMs = Date.parse(AT);
const notice: Omit<Notice, "v" | "to"> = {
  id: "E-1",
  at: AT,
  events: ["finalFailure", "failure"],
  severity: "bad",
  title: "db/backup failed on web-1: <b>exit</b> code 1",
  subject: { kind: "job", group: "db", id: "backup", name: "nightly" },
  data: { node: "web-1", outcome: "exit:1", success: false, durationMs: 65_432, attempt: 3 },
  output: "cannot open `x`\n<at id=all></at>",
};
const delivery = (more: Partial<Delivery> = {}): Delivery => ({
  ...{ v: 1, id: "01D", channel: "ops", state: "sealed", createdAt: AT, omitted: 0, tries: 0 },
  items: [{ notice, mention: ["U123", "13800138000"], count: 1 }],
  ...more,
});
const message = messageOf(delivery(), true);
const group = messageOf(
  delivery({
    items: [
      { notice: { ...notice, severity: "good", title: "a/b works again" }, mention: ["all"], count: 1 },
      { notice, mention: [], count: 40 },
    ],
    omitted: 7,
  }),
  true,
);
const body = (post: { body: string }) => JSON.parse(post.body) as Record<string, unknown>;

test("webhook: all facts, an id, and the signature of Standard Webhooks", (t) => {
  const options = {
    url: "https://example.org/h",
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    headers: { "x-a": "b" },
    output: false,
  };
  const post = webhookPost({ delivery: delivery(), message, nowMs }, options);
  t.deepEqual(body(post), {
    type: "fleetcron.notices",
    id: "01D",
    channel: "ops",
    timestamp: AT,
    severity: "bad",
    title: notice.title,
    notices: [
      {
        ...{ id: "E-1", at: AT, events: ["finalFailure", "failure"], severity: "bad", title: notice.title, subject: notice.subject },
        ...{ data: notice.data, mention: ["U123", "13800138000"], count: 1 },
      },
    ],
    omitted: 0,
  });
  const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  t.deepEqual(post.headers, {
    "x-a": "b",
    "webhook-id": "01D",
    "webhook-timestamp": String(nowMs / 1000),
    "webhook-signature": `v1,${createHmac("sha256", key)
      .update(`01D.${nowMs / 1000}.${post.body}`)
      .digest("base64")}`,
  });
  t.is(
    signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'),
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "the example of the specification",
  );
});

test("slack: text with mentions, a coloured attachment, nothing of ours is markup", (t) => {
  t.deepEqual(body(slackPost(message, "https://hooks.slack.com/x")), {
    text: "<@U123> <@13800138000> db/backup failed on web-1: &lt;b&gt;exit&lt;/b&gt; code 1",
    attachments: [
      {
        color: "#d72638",
        fallback: notice.title,
        blocks: [
          {
            type: "section",
            fields: [
              { type: "mrkdwn", text: "*Node*\nweb-1" },
              { type: "mrkdwn", text: "*Outcome*\nexit:1" },
              { type: "mrkdwn", text: "*Took*\n1m5s" },
              { type: "mrkdwn", text: "*Attempt*\n3" },
            ],
          },
          { type: "section", text: { type: "mrkdwn", text: "```cannot open `x`\n&lt;at id=all&gt;&lt;/at&gt;```" } },
        ],
      },
    ],
  });
  t.deepEqual(body(slackPost(group, "x")), {
    text: "<!channel> Fleetcron: 48 notices (40 bad, 1 good, 7 not listed)",
    attachments: [
      {
        color: "#d72638",
        fallback: "Fleetcron: 48 notices (40 bad, 1 good, 7 not listed)",
        blocks: [
          {
            type: "section",
            text: {
              type: "mrkdwn",
              text: "• db/backup failed on web-1: &lt;b&gt;exit&lt;/b&gt; code 1 (the last of 40 alike)\n• a/b works again\nand 7 more",
            },
          },
        ],
      },
    ],
  });
});

test("feishu: a signed interactive card", (t) => {
  const post = feishuPost({ message, nowMs }, { url: "https://open.feishu.cn/x", secret: "s3cret" });
  const timestamp = String(nowMs / 1000);
  t.deepEqual(body(post), {
    timestamp,
    sign: createHmac("sha256", `${timestamp}\ns3cret`).update("").digest("base64"),
    msg_type: "interactive",
    card: {
      config: { wide_screen_mode: true },
      header: { template: "red", title: { tag: "plain_text", content: notice.title } },
      elements: [
        {
          tag: "div",
          fields: ["Node: web-1", "Outcome: exit:1", "Took: 1m5s", "Attempt: 3"].map((content) => ({
            is_short: true,
            text: { tag: "plain_text", content },
          })),
        },
        { tag: "hr" },
        { tag: "div", text: { tag: "plain_text", content: notice.output } },
        { tag: "div", text: { tag: "lark_md", content: "<at id=U123></at> <at id=13800138000></at>" } },
      ],
    },
  });
  t.is(body(feishuPost({ message, nowMs }, { url: "x", secret: undefined })).sign, undefined);
  t.is(feishuRefusal({ status: 200, body: '{"code":0,"msg":"success"}' }), undefined);
  t.is(feishuRefusal({ status: 200, body: '{"StatusCode":0,"StatusMessage":"success"}' }), undefined);
  t.deepEqual(feishuRefusal({ status: 200, body: '{"code":19021,"msg":"sign match fail"}' }), { text: "the platform answered code 19021" });
  t.is(feishuRefusal({ status: 400, body: '{"code":11232}' })?.text, "HTTP 400");
});

test("dingtalk: signed markdown that mentions by telephone and by id", (t) => {
  const post = dingtalkPost({ message, nowMs }, { url: "https://oapi.dingtalk.com/robot/send?access_token=T", secret: "SEC" });
  const url = new URL(post.url);
  t.is(url.searchParams.get("access_token"), "T");
  t.is(url.searchParams.get("timestamp"), String(nowMs));
  t.is(url.searchParams.get("sign"), createHmac("sha256", "SEC").update(`${nowMs}\nSEC`).digest("base64"));
  t.false(/sign=[^&]*[+/]/.test(post.url), "the signature is encoded");
  t.deepEqual(body(post), {
    msgtype: "markdown",
    markdown: {
      title: notice.title,
      text: [
        "### db/backup failed on web-1: ＜b＞exit＜/b＞ code 1",
        "- Node: web-1",
        "- Outcome: exit:1",
        "- Took: 1m5s",
        "- Attempt: 3",
        "",
        "> cannot open ＇x＇",
        "> ＜at id=all＞＜/at＞",
        "",
        "@13800138000 @U123",
      ].join("\n"),
    },
    at: { atMobiles: ["13800138000"], atUserIds: ["U123"], isAtAll: false },
  });
  t.is(dingtalkRefusal({ status: 200, body: '{"errcode":0,"errmsg":"ok"}' }), undefined);
  t.is(dingtalkRefusal({ status: 200, body: '{"errcode":130101,"errmsg":"send too fast"}' })?.retryAfterMs, 60_000);
  t.regex(dingtalkRefusal({ status: 200, body: "<html>" })?.text ?? "", /not that of the platform/);
});

test("wecom: markdown within its bytes, text when everybody is mentioned", (t) => {
  t.deepEqual(body(wecomPost(message, "x")), {
    msgtype: "markdown",
    markdown: {
      content: [
        '<font color="warning">db/backup failed on web-1: ＜b＞exit＜/b＞ code 1</font>',
        ...["> Node: web-1", "> Outcome: exit:1", "> Took: 1m5s", "> Attempt: 3", "", "cannot open ＇x＇\n＜at id=all＞＜/at＞"],
        "<@U123> <@13800138000>",
      ].join("\n"),
    },
  });
  t.like(body(wecomPost(group, "x")), { msgtype: "text", text: { mentioned_list: ["@all"] } });
  const long = { ...message, sections: message.sections.map((section) => ({ ...section, output: "漢".repeat(3000) })) };
  const content = (body(wecomPost(long, "x")).markdown as { content: string }).content;
  t.true(Buffer.byteLength(content) <= 4096 && content.endsWith("<@13800138000>") && content.isWellFormed());
  t.is(wecomRefusal({ status: 200, body: '{"errcode":45009}' })?.retryAfterMs, 60_000);
});

test("email: plain text, a stable Message-ID, people by their addresses", (t) => {
  const withMail = { ...message, mention: ["a@example.org", "U1"] };
  t.deepEqual(mailOf({ delivery: delivery(), message: withMail }, { from: "cron@example.org", to: ["ops@example.org"] }), {
    from: "cron@example.org",
    to: ["ops@example.org"],
    cc: ["a@example.org"],
    subject: notice.title,
    text: `${notice.title}\n\nNode:    web-1\nOutcome: exit:1\nTook:    1m5s\nAttempt: 3\n\nThe end of its output:\n\n    cannot open \`x\`\n    <at id=all></at>\n\n-- \nFleetcron, channel ops, delivery 01D\n`,
    messageId: "<01D@fleetcron>",
    headers: { "Auto-Submitted": "auto-generated", "X-Fleetcron-Delivery": "01D" },
  });
});

test("output is only in messages of channels that want it", (t) => {
  const quiet = messageOf(delivery(), false);
  for (const post of [slackPost(quiet, "x"), wecomPost(quiet, "x"), feishuPost({ message: quiet, nowMs }, { url: "x", secret: undefined })])
    t.false(post.body.includes("cannot open") || post.body.includes('"hr"'));
});
