/** `dingtalk`: markdown of a custom robot (open.dingtalk.com, "custom robots"); a card of theirs could mention nobody. */
import { createHmac } from "node:crypto";
import { type Message, moreText } from "../message.ts";
import { cut } from "../words.ts";
import { type Answer, asPlain, type Parcel, type Post, type Refusal, refusalInBody } from "./format.ts";

/** 130101, 660026: sent too fast. */
const BUSY = [130101, 660026];
const MAX_TITLE = 200;

export function dingtalkPost(
  { message, nowMs }: Pick<Parcel, "message" | "nowMs">,
  options: { url: string; secret: string | undefined },
): Post {
  const mobiles = message.mention.filter((id) => /^\+?\d[\d-]{6,}$/.test(id));
  const users = message.mention.filter((id) => id !== "all" && !mobiles.includes(id));
  const body = {
    msgtype: "markdown",
    markdown: { title: cut(message.title, MAX_TITLE), text: textOf(message, [...mobiles, ...users]) },
    at: { atMobiles: mobiles, atUserIds: users, isAtAll: message.mention.includes("all") },
  };
  const url = new URL(options.url);
  if (options.secret !== undefined) {
    url.searchParams.set("timestamp", String(nowMs));
    url.searchParams.set("sign", dingtalkSign(options.secret, nowMs));
  }
  return { url: url.href, headers: {}, body: JSON.stringify(body) };
}

export function dingtalkRefusal(answer: Answer): Refusal | undefined {
  return refusalInBody(answer, ["errcode"], BUSY);
}

export function dingtalkSign(secret: string, timestampMs: number): string {
  return createHmac("sha256", secret).update(`${timestampMs}\n${secret}`).digest("base64");
}

function textOf(message: Message, mentioned: readonly string[]): string {
  const [first] = message.sections;
  const single = message.sections.length === 1 && message.more === 0;
  const lines = [`### ${asPlain(message.title)}`];
  if (single) for (const { name, value } of first?.rows ?? []) lines.push(`- ${name}: ${asPlain(value)}`);
  else for (const section of message.sections) lines.push(`- ${asPlain(section.title)}`);
  const more = moreText(message);
  if (more !== undefined) lines.push(`- ${more}`);
  if (first?.output !== undefined) lines.push("", ...first.output.split("\n").map((line) => `> ${asPlain(line)}`));
  // Only who also stands in the text is mentioned.
  if (mentioned.length > 0) lines.push("", mentioned.map((id) => `@${id}`).join(" "));
  return lines.join("\n");
}
