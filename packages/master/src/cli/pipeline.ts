/** `fleetcron pipeline ls | show | rm | runs`: looking at pipelines and at their runs. */
import type { PipelineListQuery, PipelineRunListQuery } from "../http/pipeline-schema.ts";
import { toKey } from "../job-ref.ts";
import { parsePipelineRef } from "./arguments.ts";
import type { Context } from "./context.ts";
import { type ListOptions, showListing } from "./list.ts";
import { printOne } from "./output.ts";
import { pipelineColumns, pipelineText, runColumns } from "./pipeline-text.ts";

export type PipelineRunsOptions = ListOptions & { readonly state?: NonNullable<PipelineRunListQuery["state"]> };

export async function listPipelines(context: Context, options: ListOptions): Promise<void> {
  const api = await context.api();
  const query: PipelineListQuery = options.group === undefined ? {} : { group: options.group };
  await showListing(context, options, {
    fetchPage: (page) => api.pipelines({ ...query, ...page }),
    name: toKey,
    columns: pipelineColumns(context),
    empty: "there are no pipelines; `fleetcron apply -f FILE` makes some, from `pipelines:` in the file",
  });
}

export async function showPipeline(context: Context, name: string): Promise<void> {
  const api = await context.api();
  const view = await api.pipeline(parsePipelineRef(name));
  await printOne(context, view, { name: toKey, text: (one) => pipelineText(context, one, api.server) });
}

export async function removePipelines(context: Context, names: readonly string[]): Promise<void> {
  const api = await context.api();
  for (const ref of names.map((name) => parsePipelineRef(name))) {
    const gone = await api.deletePipeline(ref);
    await printOne(context, gone, { name: () => toKey(ref), text: () => `${toKey(ref)} deleted\n` });
  }
}

export async function listRuns(context: Context, name: string | undefined, options: PipelineRunsOptions): Promise<void> {
  const api = await context.api();
  const query: PipelineRunListQuery = {
    ...(name === undefined ? {} : { pipeline: toKey(parsePipelineRef(name)) }),
    ...(options.state === undefined ? {} : { state: options.state }),
  };
  await showListing(context, options, {
    fetchPage: (page) => api.pipelineRuns({ ...query, ...page }),
    defaultLimit: 50,
    name: (run) => run.id,
    columns: runColumns(context),
    empty: "there are no runs",
  });
}
