/** The JSON Schema (draft 2020-12) of a job file, for completion and checks in editors. Made from job-schema.ts, so it cannot disagree. */
import { z } from "zod";
import { jobSchema } from "./job-schema.ts";

const FILE_KEY = /^([a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}$/;

/** A new copy each time. */
export function jobFileSchema(): Record<string, unknown> {
  const file = z
    .strictObject({
      $schema: z.string().describe("For editors; ignored.").exactOptional(),
      jobs: z.record(z.string().regex(FILE_KEY), jobSchema).describe("Jobs, keyed by group/id (or id: in the group default)."),
    })
    .describe("A Fleetcron job file.");
  return { title: "Fleetcron job file", ...z.toJSONSchema(file, { target: "draft-2020-12" }) };
}
