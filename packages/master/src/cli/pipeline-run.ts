/** `fleetcron pipeline run | status | cancel | rerun | approve | deny | confirm | reject`. The wait only reads: ending it does not touch the run. */
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import { createIdSource } from "fleetcron-shared/base/ids";
import type { PipelineRunView } from "../http/pipeline-schema.ts";
import { toKey } from "../job-ref.ts";
import { parseId, parsePairs, parsePipelineRef, parseSpan } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanDuration } from "./human.ts";
import { printOne } from "./output.ts";
import { dryRunText, runText } from "./pipeline-text.ts";

export type WaitOptions = { readonly wait?: boolean; readonly timeout?: string };
export type PipelineRunOptions = WaitOptions & {
  readonly param?: readonly string[];
  readonly label?: readonly string[];
  readonly dryRun?: boolean;
};

const FIRST_POLL_MS = 50;
const SLOWEST_POLL_MS = 1000;
/** How long a master that does not answer is asked again while waiting. */
const PATIENCE_MS = 30_000;

export async function runPipeline(context: Context, name: string, options: PipelineRunOptions): Promise<void> {
  const ref = parsePipelineRef(name);
  const timeoutMs = timeoutOf(options);
  const body = { params: parsePairs(options.param ?? [], "--param"), labels: parsePairs(options.label ?? [], "--label") };
  const api = await context.api();
  if (options.dryRun === true) {
    const result = await api.dryRunPipeline(ref, body);
    return printOne(context, result, { name: () => toKey(ref), text: (value) => dryRunText(context, value) });
  }
  const run = await api.runPipeline(ref, body, createIdSource(context)());
  if (options.wait !== true)
    return printOne(context, run, {
      name: ({ id }) => id,
      text: ({ id }) => `run ${id} of ${toKey(ref)} is asked for; \`pipeline status ${id}\` shows it\n`,
    });
  await finish(context, run, timeoutMs);
}

export async function showRun(context: Context, id: string, options: WaitOptions): Promise<void> {
  const timeoutMs = timeoutOf(options);
  await show(context, await (await context.api()).pipelineRun(parseId(id, "a run")), options, timeoutMs);
}

export async function cancelRun(context: Context, id: string, options: WaitOptions & { readonly reason?: string }): Promise<void> {
  const timeoutMs = timeoutOf(options);
  const run = await (await context.api()).cancelRun(parseId(id, "a run"), { reason: options.reason ?? "" });
  if (options.wait !== true) return show(context, run, options, timeoutMs);
  const ended = await waitForEnd(context, run, timeoutMs);
  await show(context, ended, {}, undefined);
}

export async function rerunRun(context: Context, id: string, options: WaitOptions & { readonly from?: string }): Promise<void> {
  const timeoutMs = timeoutOf(options);
  const body = options.from === undefined ? {} : { from: options.from };
  const run = await (await context.api()).rerunRun(parseId(id, "a run"), body, createIdSource(context)());
  await show(context, run, options, timeoutMs);
}

export async function decide(
  context: Context,
  id: string,
  task: string,
  word: "approve" | "deny" | "confirm" | "reject",
  options: { readonly comment?: string },
): Promise<void> {
  const run = await (await context.api()).decide(parseId(id, "a run"), parseId(task, "a task"), word, { comment: options.comment ?? "" });
  await show(context, run, {}, undefined);
}

async function show(context: Context, run: PipelineRunView, options: WaitOptions, timeoutMs: number | undefined): Promise<void> {
  if (options.wait === true) return finish(context, run, timeoutMs);
  await printOne(context, run, { name: ({ id }) => id, text: (view) => runText(context, view) });
}

/** Waits for the end, shows it, and fails unless the run has succeeded. */
async function finish(context: Context, run: PipelineRunView, timeoutMs: number | undefined): Promise<void> {
  const ended = await waitForEnd(context, run, timeoutMs);
  await show(context, ended, {}, undefined);
  if (ended.state === "succeeded") return;
  throw new AppError(
    "pipeline/run-failed",
    `run ${ended.id} ${ended.state === "failed" ? "failed" : "was cancelled"}${ended.message === undefined ? "" : `: ${ended.message}`}`,
    {
      hint: `\`pipeline rerun ${ended.id} --from TASK\` goes on from a task`,
    },
  );
}

/** Polls until the run has ended; `wait/timeout` beyond the limit. */
async function waitForEnd(context: Context, first: PipelineRunView, timeoutMs: number | undefined): Promise<PipelineRunView> {
  const { clock } = context;
  const api = await context.api();
  const startedAt = clock.mono();
  let [run, answeredAt, pollMs] = [first, startedAt, FIRST_POLL_MS];
  while (run.state === "queued" || run.state === "active") {
    const waitedMs = clock.mono() - startedAt;
    if (timeoutMs !== undefined && waitedMs >= timeoutMs) {
      const waiting = run.tasks.filter(({ wait }) => wait !== undefined).map(({ name, state }) => `${name} (${state})`);
      throw new AppError(
        "wait/timeout",
        `run ${run.id} has not ended after ${humanDuration(timeoutMs)}: ${run.state}${waiting.length === 0 ? "" : `, ${waiting.join(", ")}`}`,
        {
          hint: "it goes on; `pipeline status` shows it, `pipeline cancel` ends it",
        },
      );
    }
    await clock.sleep(Math.min(pollMs, timeoutMs === undefined ? pollMs : Math.max(1, timeoutMs - waitedMs)));
    pollMs = Math.min(SLOWEST_POLL_MS, pollMs * 1.5);
    try {
      run = await api.pipelineRun(run.id, `${run.group}/${run.pipeline}`);
      answeredAt = clock.mono();
    } catch (thrown) {
      if (!asAppError(thrown).row.retry || clock.mono() - answeredAt > PATIENCE_MS) throw thrown;
    }
  }
  return run;
}

function timeoutOf({ wait, timeout }: WaitOptions): number | undefined {
  if (timeout === undefined) return undefined;
  if (wait !== true) throw new AppError("input/usage", "--timeout says how long --wait waits; give both");
  return parseSpan(timeout, "--timeout");
}
