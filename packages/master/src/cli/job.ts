/** `fleetcron job …` but for `run`: looking at jobs and changing them. */
import type { JobView } from "../http/api-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { parseInstant, parseJobRef } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanTime } from "./human.ts";
import { jobColumns, jobName, jobText, nextText, whyText } from "./job-text.ts";
import { type ListOptions, showListing } from "./list.ts";
import { printOne } from "./output.ts";

/** The orders that the master sorts by itself, so that `--limit` cuts the right end. */
const SERVER_SORTS = ["key", "-key", "updated", "-updated", "next", "-next"] as const;

export async function listJobs(context: Context, options: ListOptions & { label?: readonly string[] }): Promise<void> {
  const api = await context.api();
  const sort = SERVER_SORTS.find((one) => one === options.sort);
  const query = {
    ...(options.group === undefined ? {} : { group: options.group }),
    ...(options.label === undefined ? {} : { label: [...options.label] }),
    ...(sort === undefined ? {} : { sort }),
  };
  const { sort: _, ...rest } = options;
  await showListing(context, sort === undefined ? options : rest, {
    fetchPage: (page) => api.jobs({ ...query, ...page }),
    name: jobName,
    columns: jobColumns(context),
    empty: "there are no jobs; `fleetcron apply -f FILE` or `fleetcron import crontab FILE` make some",
  });
}

export async function showJob(context: Context, name: string): Promise<void> {
  const job = await (await context.api()).job(parseJobRef(name));
  await printOne(context, job, { name: jobName, text: (view) => jobText(context, view) });
}

export async function pauseJob(context: Context, name: string): Promise<void> {
  await change(context, name, "paused: no ticks fire until `job resume`; `job run` still works", async (api, ref) => api.pauseJob(ref));
}

export async function resumeJob(context: Context, name: string): Promise<void> {
  await change(context, name, "resumed", async (api, ref) => api.resumeJob(ref));
}

export async function removeJobs(context: Context, names: readonly string[], options: { readonly force?: boolean }): Promise<void> {
  const api = await context.api();
  for (const ref of names.map(parseJobRef)) {
    const gone = await api.deleteJob(ref, options.force === true);
    await printOne(context, gone, { name: () => toKey(ref), text: () => `${toKey(ref)} deleted\n` });
  }
}

export async function resetJob(context: Context, name: string, options: { node?: string }): Promise<void> {
  const ref = parseJobRef(name);
  const result = await (await context.api()).resetJob(ref, options.node === undefined ? {} : { node: options.node });
  await printOne(context, result, {
    name: () => toKey(ref),
    text: ({ orders }) =>
      `${toKey(ref)}: ${orders.length === 1 ? "1 node is" : `${orders.length} nodes are`} told to forget its success${list(orders.map((order) => order.node))}\n`,
  });
}

export async function nextTicks(context: Context, name: string, options: { n: number; at?: string }): Promise<void> {
  const ref = parseJobRef(name);
  const at = options.at === undefined ? {} : { at: parseInstant(options.at, "--at", context.clock.now()) };
  const result = await (await context.api()).nextTicks(ref, { n: options.n, ...at });
  await printOne(context, result, { name: () => toKey(ref), text: (value) => nextText(context, value) });
}

export async function whyJob(context: Context, name: string, time: string | undefined): Promise<void> {
  const ref = parseJobRef(name);
  const at = time === undefined ? {} : { at: parseInstant(time, "TIME", context.clock.now()) };
  const result = await (await context.api()).why(ref, at);
  await printOne(context, result, { name: (value) => value.verdict, text: (value) => whyText(context, value) });
}

type Api = Awaited<ReturnType<Context["api"]>>;

async function change(context: Context, name: string, done: string, act: (api: Api, ref: JobRef) => Promise<JobView>): Promise<void> {
  const ref = parseJobRef(name);
  const job = await act(await context.api(), ref);
  const next = job.rules
    .map((rule) => rule.next)
    .filter((one) => one !== null)
    .sort()[0];
  await printOne(context, job, {
    name: jobName,
    text: () =>
      `${toKey(ref)} ${done}${job.spec.pause === true || next === undefined ? "" : `; next ${humanTime(next, context.clock.now())}`}\n`,
  });
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "" : `: ${names.join(", ")}`;
}
