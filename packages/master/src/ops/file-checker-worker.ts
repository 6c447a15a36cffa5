/** The thread that parses and checks job files, one request after the other. Started by file-checker.ts. */
import { parentPort } from "node:worker_threads";
import { asAppError } from "fleetcron-shared/base/errors";
import { meaningAt, type ParsedJob, parseFiles } from "fleetcron-shared/model/job-file";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { CheckedChannel, CheckedJob, CheckedPipeline, FromChecker, ToChecker } from "./file-checker-protocol.ts";

/** Reading one portion back takes the main thread a few milliseconds at most. */
const JOBS_A_PORTION = 200;

parentPort?.on("message", (request: ToChecker) => {
  const { id } = request;
  try {
    const contents = parseFiles(request.files, meaningAt(request.nowMs));
    const jobs = contents.jobs.map((job): CheckedJob => ({ group: job.group, id: job.id, spec: job.spec, ...notifyLinesOf(job) }));
    const channels = contents.channels.map(({ name, spec }): CheckedChannel => ({ name, spec }));
    const pipelines = contents.pipelines.map((pipeline): CheckedPipeline => {
      const { group, id, spec, file, lineOf } = pipeline;
      const taskLines = tasksOf(spec).map(({ path }) => lineOf([...path, "job"]));
      const triggerLines = (spec.triggers ?? []).map((_, index) => lineOf(["triggers", index]));
      return { group, id, spec, file, taskLines, triggerLines, ...notifyLinesOf(pipeline) };
    });
    for (let start = 0; start < jobs.length; start += JOBS_A_PORTION) {
      answer({ id, t: "jobs", jobs: JSON.stringify(jobs.slice(start, start + JOBS_A_PORTION)) });
    }
    answer({ id, t: "end", pipelines, channels });
  } catch (thrown) {
    const { code, message, hint, issues } = asAppError(thrown);
    answer({ id, t: "refused", code, message, hint, issues });
  }
});

function notifyLinesOf({ spec, file, lineOf }: Pick<ParsedJob, "file" | "lineOf"> & { readonly spec: Pick<JobSpec, "notify"> }) {
  if (spec.notify === undefined) return {};
  return { notifyLines: { file, lines: spec.notify.map((_, index) => lineOf(["notify", index, "to"])) } };
}

function answer(message: FromChecker): void {
  parentPort?.postMessage(message);
}
