/** What the master's main thread and the thread that checks job files say to each other. Jobs travel as JSON text in portions: text crosses cheaply. */
import type { ErrorCode } from "fleetcron-shared/base/error-table";
import type { Issue } from "fleetcron-shared/base/errors";
import type { ParsedChannel } from "fleetcron-shared/model/channel-file";
import type { JobFile } from "fleetcron-shared/model/job-file";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { JobRef } from "../job-ref.ts";

/** Where the channels of each `notify` rule are named in a file. */
export type NotifyLines = { readonly file: string; readonly lines: readonly number[] };

/** A job of a file, found to be right. */
export type CheckedJob = JobRef & { readonly spec: JobSpec; readonly notifyLines?: NotifyLines };

/** A pipeline of a file, found to be right as far as the file tells; `taskLines`: where each task's job is named, in the order of `tasksOf`. */
export type CheckedPipeline = JobRef & {
  readonly spec: PipelineSpec;
  readonly file: string;
  readonly taskLines: readonly number[];
  readonly triggerLines: readonly number[];
  readonly notifyLines?: NotifyLines;
};

/** A channel of a file, found to be right. */
export type CheckedChannel = Pick<ParsedChannel, "name" | "spec">;

export type ToChecker = { readonly id: number; readonly files: readonly JobFile[]; readonly nowMs: number };

/** To each request come any number of `jobs` (JSON text of a `CheckedJob[]`), then `end`; or `refused`, the parts of an AppError. */
export type FromChecker =
  | { readonly id: number; readonly t: "jobs"; readonly jobs: string }
  | { readonly id: number; readonly t: "end"; readonly pipelines: readonly CheckedPipeline[]; readonly channels: readonly CheckedChannel[] }
  | {
      readonly id: number;
      readonly t: "refused";
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
      readonly issues: readonly Issue[];
    };
