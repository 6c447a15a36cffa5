/** The requests and answers about logs, like api-schema.ts. */
import { z } from "zod";
import { jobKey } from "./api-schema.ts";

const offset = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const attempt = z.coerce.number().int().min(1).max(1_000_000).optional().describe("default: the newest one");
const lineCount = z.coerce.number().int().min(0).max(10_000_000);
/** The largest part of a log in one answer. */
export const LOG_BYTES_LIMIT = 4 * 2 ** 20;
export const LogQuery = z
  .strictObject({
    job: jobKey.optional().describe("group/id; naming it saves the search for it"),
    attempt,
    from: offset.optional().describe("begin at this offset of what the process has written"),
    tail: lineCount.optional().describe("begin so many lines before the end"),
    head: lineCount.min(1).optional().describe("end after so many lines"),
    bytes: z.coerce
      .number()
      .int()
      .min(1)
      .max(LOG_BYTES_LIMIT)
      .default(2 ** 20)
      .describe("end after so many bytes"),
  })
  .refine(({ from, tail }) => from === undefined || tail === undefined, { error: "from and tail exclude each other" });
export type LogQuery = z.input<typeof LogQuery>;
export const LogFollowQuery = z
  .strictObject({ job: jobKey.optional(), attempt, from: offset.optional(), tail: lineCount.optional() })
  .refine(({ from, tail }) => from === undefined || tail === undefined, { error: "from and tail exclude each other" });
export type LogFollowQuery = z.input<typeof LogFollowQuery>;
export const LogSearchQuery = z.strictObject({
  job: jobKey.optional().describe("group/id; naming it saves the search for it"),
  attempt,
  text: z.string().min(1).max(1000).describe("what the line holds; letters of either case are the same, colours are left out"),
  from: offset.default(0).describe("`down`: only lines that begin at this offset or later; `up`: only lines that begin before it"),
  direction: z.enum(["down", "up"]).default("down").describe("the first such line, or with `up` the last one"),
});
export type LogSearchQuery = z.input<typeof LogSearchQuery>;
export const LogSearchResult = z.object({
  attempt: z.number().int(),
  size: z.number().int().describe("what the process had written by then"),
  offset: z.number().int().nullable().describe("where the line begins; null: there is none"),
});
export type LogSearchResult = z.infer<typeof LogSearchResult>;
export const LastEventIdHeaders = z.object({
  "last-event-id": z
    .string()
    .regex(/^\d{1,7}:\d{1,16}$/, "must be the id of an event: ATTEMPT:OFFSET")
    .optional(),
});
/** A part of a log: of what the process has written, `bytes` are those of [offset, next). */
export type LogPart = {
  readonly attempt: number;
  readonly offset: number;
  readonly next: number;
  /** What the process has written so far. */
  readonly size: number;
  /** Asked for, but not kept, right before `offset`. */
  readonly skipped: number;
  readonly bytes: Buffer;
};
/** What the events `begin`, `log`, `skipped` and `end` carry; `error` carries a Problem. */
export type LogEventData = {
  readonly attempt: number;
  /** The bytes are those of [from, to). */
  readonly from?: number;
  readonly to?: number;
  /** What the process has written so far. */
  readonly size?: number;
  /** The bytes: as text where they are UTF-8. */
  readonly text?: string;
  readonly base64?: string;
  /** Left out before `to`: cut out of a long log, or written faster than it may be shown. */
  readonly skipped?: number;
  readonly why?: "cut" | "fast";
};
