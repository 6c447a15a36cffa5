/** `feishu`: an interactive card of a custom robot (open.feishu.cn, "custom bot usage guide"). Texts of ours are plain_text, so nothing in them is markup. */
import { createHmac } from "node:crypto";
import type { Severity } from "fleetcron-shared/model/notice";
import { type Message, moreText } from "../message.ts";
import { cut } from "../words.ts";
import { type Answer, type Parcel, type Post, type Refusal, refusalInBody } from "./format.ts";

const TEMPLATES: Readonly<Record<Severity, string>> = { bad: "red", warn: "orange", good: "green", info: "grey" };
/** 11232: too many requests. */
const BUSY = [11232];

export function feishuPost(
  { message, nowMs }: Pick<Parcel, "message" | "nowMs">,
  options: { url: string; secret: string | undefined },
): Post {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signed = options.secret === undefined ? {} : { timestamp, sign: feishuSign(options.secret, timestamp) };
  return { url: options.url, headers: {}, body: JSON.stringify({ ...signed, msg_type: "interactive", card: cardOf(message) }) };
}

export function feishuRefusal(answer: Answer): Refusal | undefined {
  return refusalInBody(answer, ["code", "StatusCode"], BUSY);
}

/** The key is `timestamp\nsecret`, the message is empty. */
export function feishuSign(secret: string, timestamp: string): string {
  return createHmac("sha256", `${timestamp}\n${secret}`).digest("base64");
}

function cardOf(message: Message): object {
  const elements: object[] = [];
  const [first] = message.sections;
  if (message.sections.length === 1 && message.more === 0) {
    if (first !== undefined && first.rows.length > 0) {
      const fields = first.rows.map(({ name, value }) => ({ is_short: true, text: plainText(`${name}: ${value}`) }));
      elements.push({ tag: "div", fields });
    }
  } else {
    for (const section of message.sections) elements.push({ tag: "div", text: plainText(section.title) });
  }
  if (first?.output !== undefined) elements.push({ tag: "hr" }, { tag: "div", text: plainText(first.output) });
  const more = moreText(message);
  if (more !== undefined) elements.push({ tag: "note", elements: [plainText(more)] });
  if (message.mention.length > 0)
    elements.push({ tag: "div", text: { tag: "lark_md", content: message.mention.map((id) => `<at id=${id}></at>`).join(" ") } });
  return {
    config: { wide_screen_mode: true },
    header: { template: TEMPLATES[message.severity], title: plainText(cut(message.title, 300)) },
    elements,
  };
}

function plainText(content: string): { tag: "plain_text"; content: string } {
  return { tag: "plain_text", content };
}
