/** The fields that a timer has wherever it stands: in a rule of a job, in a trigger of a pipeline. */
import { choice } from "../base/zod-issues.ts";
import { durationField, instant, line } from "./job-fields.ts";

const DAY = 24 * 3_600_000;

export const timerFields = {
  timezone: line("a time zone", 64).describe("IANA name such as Europe/Berlin. Default: the cluster's, UTC.").exactOptional(),
  from: instant.describe("No tick before this instant (RFC 3339 with offset).").exactOptional(),
  until: instant.describe("No tick after this instant (RFC 3339 with offset).").exactOptional(),
  dstGap: choice(["next", "skip"])
    .describe("A tick in an hour that does not exist: at the next instant (default), or not at all.")
    .exactOptional(),
  dstFold: choice(["first", "second", "both"])
    .describe("A tick in an hour that comes twice: first (default), second or both.")
    .exactOptional(),
};

export const misfireWindow = durationField(1000, 31 * DAY)
  .describe("A tick older than this is missed. Default: 1h.")
  .exactOptional();
