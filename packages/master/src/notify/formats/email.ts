/** `email`: plain text. The delivery's id is in the Message-ID, so that a mail sent twice can be known as one. */
import type { Parcel } from "./format.ts";

export type Mail = {
  readonly from: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
};

const MAX_SUBJECT = 200;

export function mailOf(
  { delivery, message }: Pick<Parcel, "delivery" | "message">,
  options: { from: string; to: readonly string[] },
): Mail {
  const [first] = message.sections;
  const single = message.sections.length === 1 && message.more === 0;
  const width = Math.max(0, ...(first?.rows ?? []).map(({ name }) => name.length)) + 2;
  const lines = [
    message.title,
    "",
    ...(single
      ? (first?.rows ?? []).map(({ name, value }) => `${`${name}:`.padEnd(width)}${value}`)
      : message.sections.map((section) => `- ${section.title}`)),
    ...(message.more === 0 ? [] : [`and ${message.more} more: \`fleetcron record ls\` has all of them`]),
    ...(first?.output === undefined ? [] : ["", "The end of its output:", "", ...first.output.split("\n").map((line) => `    ${line}`)]),
    "",
    "-- ",
    `Fleetcron, channel ${delivery.channel}, delivery ${delivery.id}`,
  ];
  return {
    from: options.from,
    to: options.to,
    cc: message.mention.filter((id) => id.includes("@") && !options.to.includes(id)),
    subject: message.title.length > MAX_SUBJECT ? `${message.title.slice(0, MAX_SUBJECT - 1).toWellFormed()}…` : message.title,
    text: `${lines.join("\n")}\n`,
    messageId: `<${delivery.id}@fleetcron>`,
    headers: { "Auto-Submitted": "auto-generated", "X-Fleetcron-Delivery": delivery.id },
  };
}
