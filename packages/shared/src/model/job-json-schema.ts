/** The JSON Schema (draft 2020-12) of a job file, for completion and checks in editors. Made from job-schema.ts, so it cannot disagree. */
import { z } from "zod";
import { channelSchema } from "./channel-schema.ts";
import { ID_PATTERN } from "./job-fields.ts";
import { jobSchema } from "./job-schema.ts";
import { pipelineSchema } from "./pipeline/pipeline-schema.ts";

const FILE_KEY = /^([a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}$/;

/** A new copy each time. */
export function jobFileSchema(): Record<string, unknown> {
  const file = z
    .strictObject({
      $schema: z.string().describe("For editors; ignored.").exactOptional(),
      jobs: z
        .record(z.string().regex(FILE_KEY), jobSchema)
        .describe("Jobs, keyed by group/id (or id: in the group default).")
        .exactOptional(),
      pipelines: z
        .record(z.string().regex(FILE_KEY), pipelineSchema)
        .describe("Pipelines, keyed by group/id (or id: in the group default).")
        .exactOptional(),
      channels: z.record(z.string().regex(ID_PATTERN), channelSchema).describe("Channels of notifications, keyed by name.").exactOptional(),
    })
    .describe("A Fleetcron job file.");
  return { title: "Fleetcron job file", ...z.toJSONSchema(file, { target: "draft-2020-12" }) };
}
