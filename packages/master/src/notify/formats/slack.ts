/** `slack`: an incoming webhook's message with a coloured attachment of blocks (api.slack.com/reference/block-kit). */
import type { Severity } from "fleetcron-shared/model/notice";
import { type Message, moreText } from "../message.ts";
import { cut } from "../words.ts";
import type { Post } from "./format.ts";

const COLOURS: Readonly<Record<Severity, string>> = { bad: "#d72638", warn: "#e8a33d", good: "#2eb67d", info: "#8a8d91" };
const GROUPS: Readonly<Record<string, string>> = { all: "<!channel>", channel: "<!channel>", here: "<!here>", everyone: "<!everyone>" };
/** Of a section's fields. */
const MAX_FIELDS = 10;
const MAX_TEXT = 2900;

export function slackPost(message: Message, url: string): Post {
  const [first] = message.sections;
  const single = message.sections.length === 1 && message.more === 0;
  const lines = single ? [] : message.sections.map((section) => `• ${escapeText(section.title)}`);
  const more = moreText(message);
  if (more !== undefined) lines.push(more);
  const blocks: object[] = linesToBlocks(lines);
  const rows = (first?.rows ?? []).slice(0, MAX_FIELDS);
  if (single && rows.length > 0)
    blocks.push({ type: "section", fields: rows.map(({ name, value }) => mrkdwn(`*${escapeText(name)}*\n${escapeText(value)}`)) });
  if (first?.output !== undefined)
    blocks.push({ type: "section", text: mrkdwn(`\`\`\`${lastOf(escapeText(first.output.replaceAll("```", "'''")))}\`\`\``) });
  const mentions = message.mention.map((id) => GROUPS[id] ?? (/^S[A-Z0-9]{6,}$/.test(id) ? `<!subteam^${id}>` : `<@${id}>`));
  const text = [...mentions, escapeText(message.title)].join(" ");
  const attachment = { color: COLOURS[message.severity], fallback: cut(message.title, 300), blocks };
  return { url, headers: {}, body: JSON.stringify({ text, ...(blocks.length === 0 ? {} : { attachments: [attachment] }) }) };
}

/** As many lines in a section as it takes. */
function linesToBlocks(lines: readonly string[]): object[] {
  const texts: string[] = [];
  for (const line of lines) {
    const last = texts.at(-1);
    if (last !== undefined && last.length + line.length < MAX_TEXT) texts[texts.length - 1] = `${last}\n${line}`;
    else texts.push(line);
  }
  return texts.map((text) => ({ type: "section", text: mrkdwn(text) }));
}

function mrkdwn(text: string): { type: "mrkdwn"; text: string } {
  return { type: "mrkdwn", text };
}

function lastOf(text: string): string {
  return text.slice(-MAX_TEXT + 10);
}

/** `<` begins mentions and links. */
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
