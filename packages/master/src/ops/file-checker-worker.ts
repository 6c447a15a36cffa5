/** The thread that parses and checks job files, one request after the other. Started by file-checker.ts. */
import { parentPort } from "node:worker_threads";
import { asAppError } from "fleetcron-shared/base/errors";
import { meaningAt, parseFiles } from "fleetcron-shared/model/job-file";
import { tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { CheckedChannel, CheckedJob, CheckedPipeline, FromChecker, ToChecker } from "./file-checker-protocol.ts";

/** Reading one portion back takes the main thread a few milliseconds at most. */
const JOBS_A_PORTION = 200;

parentPort?.on("message", (request: ToChecker) => {
  const { id } = request;
  try {
    const contents = parseFiles(request.files, meaningAt(request.nowMs));
    const jobs = contents.jobs.map(({ group, id, spec }): CheckedJob => ({ group, id, spec }));
    const channels = contents.channels.map(({ name, spec }): CheckedChannel => ({ name, spec }));
    const pipelines = contents.pipelines.map(({ group, id, spec, file, lineOf }): CheckedPipeline => {
      const taskLines = tasksOf(spec).map(({ path }) => lineOf([...path, "job"]));
      const triggerLines = (spec.triggers ?? []).map((_, index) => lineOf(["triggers", index]));
      return { group, id, spec, file, taskLines, triggerLines };
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

function answer(message: FromChecker): void {
  parentPort?.postMessage(message);
}
