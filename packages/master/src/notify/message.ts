/** A delivery as every platform shows it: a headline, one section per notice, facts as rows. Pure; formats/ turns it into each platform's own form. */
import type { Delivery, NoticeData, Severity } from "fleetcron-shared/model/notice";
import { noticeCount } from "fleetcron-shared/model/notice";
import { cut, rough, times } from "./words.ts";

export type Row = { readonly name: string; readonly value: string };
export type Section = {
  readonly title: string;
  readonly severity: Severity;
  readonly rows: readonly Row[];
  readonly output: string | undefined;
};
export type Message = {
  readonly title: string;
  readonly severity: Severity;
  /** One for a single notice, whose title is the message's. */
  readonly sections: readonly Section[];
  /** Notices beyond the sections. */
  readonly more: number;
  /** `all` is everybody. */
  readonly mention: readonly string[];
};

/** Sections that a chat message shows. */
const MAX_SECTIONS = 20;
const SEVERITIES: readonly Severity[] = ["bad", "warn", "good", "info"];
const SEVERITY_WORDS: Readonly<Record<Severity, string>> = { bad: "bad", warn: "slow", good: "good", info: "other" };
const NAMES: Readonly<Record<string, string>> = {
  node: "Node",
  outcome: "Outcome",
  message: "Message",
  dueAt: "Due",
  beginTime: "Began",
  endTime: "Ended",
  durationMs: "Took",
  usualMs: "Usually",
  attempt: "Attempt",
  execution: "Execution",
  run: "Run",
  task: "Task",
  trigger: "Started by",
  by: "By",
};
/** Facts for programs only. */
const HIDDEN: readonly string[] = ["success", "finalAttempt", "record", "state"];

/** `output`: whether the channel shows output. */
export function messageOf(delivery: Pick<Delivery, "items" | "omitted">, output: boolean): Message {
  const { items, omitted } = delivery;
  const single = items.length === 1 && omitted === 0;
  const worst = SEVERITIES.find((severity) => items.some(({ notice }) => notice.severity === severity)) ?? "info";
  const shown = items
    .toSorted((a, b) => SEVERITIES.indexOf(a.notice.severity) - SEVERITIES.indexOf(b.notice.severity))
    .slice(0, MAX_SECTIONS);
  const sections = shown.map(
    ({ notice, count }): Section => ({
      title: count === 1 ? notice.title : `${notice.title} (the last of ${count} alike)`,
      severity: notice.severity,
      rows: single ? rowsOf(notice.data) : [],
      output: output && single && notice.output !== undefined ? notice.output : undefined,
    }),
  );
  const total = noticeCount(delivery);
  const more = total - shown.reduce((sum, { count }) => sum + count, 0);
  const mention = [...new Set(items.flatMap((item) => item.mention))];
  return { title: single ? (sections[0]?.title ?? "") : headline(delivery, total), severity: worst, sections, more, mention };
}

function headline({ items, omitted }: Pick<Delivery, "items" | "omitted">, total: number): string {
  const counts = SEVERITIES.map((severity) => {
    const count = items.filter(({ notice }) => notice.severity === severity).reduce((sum, item) => sum + item.count, 0);
    return count === 0 ? "" : `${count} ${SEVERITY_WORDS[severity]}`;
  });
  const parts = [...counts, omitted === 0 ? "" : `${omitted} not listed`].filter((part) => part !== "");
  return `Fleetcron: ${times(total, "notice")} (${parts.join(", ")})`;
}

function rowsOf(data: NoticeData): Row[] {
  return Object.entries(data).flatMap(([key, value]) => {
    if (HIDDEN.includes(key)) return [];
    const text = key.endsWith("Ms") && typeof value === "number" ? rough(value) : String(value);
    return [{ name: NAMES[key] ?? key, value: cut(text, 300) }];
  });
}

/** `and 980 more`, or nothing. */
export function moreText(message: Message): string | undefined {
  return message.more === 0 ? undefined : `and ${message.more} more`;
}

/** At most `max` bytes of UTF-8. */
export function cutBytes(text: string, max: number): string {
  if (Buffer.byteLength(text) <= max) return text;
  return `${Buffer.from(text)
    .subarray(0, max - 4)
    .toString()
    .replace(/�+$/, "")}…`;
}
