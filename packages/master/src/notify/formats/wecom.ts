/** `wecom`: markdown of a group robot (developer.work.weixin.qq.com, "group robots"); plain text when everybody is mentioned, which markdown cannot. */
import type { Severity } from "fleetcron-shared/model/notice";
import { cutBytes, type Message, moreText } from "../message.ts";
import { type Answer, asPlain, type Post, type Refusal, refusalInBody } from "./format.ts";

const COLOURS: Readonly<Record<Severity, string>> = { bad: "warning", warn: "warning", good: "info", info: "comment" };
/** 45009: too many requests. */
const BUSY = [45009];
/** The platform takes 4096 and 2048 bytes. */
const MAX_BYTES = { markdown: 4000, text: 2000 };

export function wecomPost(message: Message, url: string): Post {
  const everybody = message.mention.includes("all");
  const people = message.mention.filter((id) => id !== "all");
  const body = everybody
    ? {
        msgtype: "text",
        text: {
          content: cutBytes(linesOf(message, (name, value) => `${name}: ${value}`, message.title).join("\n"), MAX_BYTES.text),
          mentioned_list: [...people, "@all"],
        },
      }
    : { msgtype: "markdown", markdown: { content: markdownOf(message, people) } };
  return { url, headers: {}, body: JSON.stringify(body) };
}

export function wecomRefusal(answer: Answer): Refusal | undefined {
  return refusalInBody(answer, ["errcode"], BUSY);
}

function markdownOf(message: Message, people: readonly string[]): string {
  const title = `<font color="${COLOURS[message.severity]}">${asPlain(message.title)}</font>`;
  const mentions = people.map((id) => `<@${id}>`).join(" ");
  const row = (name: string, value: string) => `> ${name}: ${asPlain(value)}`;
  const text = linesOf(message, row, title).join("\n");
  return mentions === "" ? cutBytes(text, MAX_BYTES.markdown) : `${cutBytes(text, MAX_BYTES.markdown - mentions.length - 1)}\n${mentions}`;
}

function linesOf(message: Message, row: (name: string, value: string) => string, title: string): string[] {
  const [first] = message.sections;
  const single = message.sections.length === 1 && message.more === 0;
  const more = moreText(message);
  return [
    title,
    ...(single
      ? (first?.rows ?? []).map(({ name, value }) => row(name, value))
      : message.sections.map((section) => `- ${asPlain(section.title)}`)),
    ...(more === undefined ? [] : [more]),
    ...(first?.output === undefined ? [] : ["", asPlain(first.output)]),
  ];
}
