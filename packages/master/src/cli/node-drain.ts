/**
 * `fleetcron node drain|undrain`: what a draining node still has to do, and with --wait until that is done. The wait only reads: ending it (Ctrl-C, --timeout)
 * changes nothing, the node drains on. A node or a master that is away for a moment is asked again.
 */
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import type { ApiClient } from "../client/api.ts";
import type { NodeDetail } from "../http/node-schema.ts";
import { parseId, parseSpan } from "./arguments.ts";
import type { Context } from "./context.ts";
import { leftText, workTable } from "./fleet-text.ts";
import { humanDuration } from "./human.ts";
import { printOne } from "./output.ts";
import { createProgress } from "./progress.ts";

export type DrainOptions = { readonly wait?: boolean; readonly timeout?: string };

const FIRST_POLL_MS = 50;
const SLOWEST_POLL_MS = 1000;
/** The agent hears of it by its watch. */
const HEARD_WITHIN_MS = 2000;
/** How long a node that is offline, or a master that does not answer, is asked again while waiting. */
const PATIENCE_MS = 30_000;

export async function drainNode(context: Context, name: string, options: DrainOptions): Promise<void> {
  const id = parseId(name, "a node");
  if (options.timeout !== undefined && options.wait !== true)
    throw new AppError("input/usage", "--timeout says how long --wait waits; give both");
  const timeoutMs = options.timeout === undefined ? undefined : parseSpan(options.timeout, "--timeout");
  const api = await context.api();
  await api.drainNode(id);
  const node = options.wait === true ? await untilDrained(context, api, id, timeoutMs) : await whatIsLeft(context, api, id);
  await printOne(context, node, {
    name: () => id,
    text: async () => `${id} takes no new work; ${leftText(context, node)}\n${await workTable(context, node.executions)}`,
  });
}

export async function undrainNode(context: Context, name: string): Promise<void> {
  const node = await (await context.api()).undrainNode(parseId(name, "a node"));
  await printOne(context, node, { name: (view) => view.id, text: () => `${node.id} takes work again\n` });
}

/** As the agent tells it once it knows. */
async function whatIsLeft({ clock }: Context, api: ApiClient, id: string): Promise<NodeDetail> {
  for (const askUntil = clock.mono() + HEARD_WITHIN_MS; ; await clock.sleep(FIRST_POLL_MS)) {
    const node = await api.node(id);
    if (!node.online || node.drained || node.running + node.queued > 0 || clock.mono() > askUntil) return node;
  }
}

/** Polls until nothing is left; `wait/timeout` beyond the limit, `node/not-online` when nobody can tell. */
async function untilDrained(context: Context, api: ApiClient, id: string, timeoutMs: number | undefined): Promise<NodeDetail> {
  const { clock } = context;
  const startedAt = clock.mono();
  const progress = createProgress(context);
  let answeredAt = startedAt;
  try {
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(SLOWEST_POLL_MS, pollMs * 1.5)) {
      const node = await api.node(id).catch((thrown: unknown) => asAppError(thrown));
      const isTold = !(node instanceof AppError) && node.online;
      if (isTold) answeredAt = clock.mono();
      if (isTold && node.drained) return node;
      if (node instanceof AppError ? !node.row.retry || clock.mono() - answeredAt > PATIENCE_MS : !node.draining)
        throw node instanceof AppError ? node : new AppError("write/conflict", `${id} takes work again: somebody has ended its drain`);
      if (clock.mono() - answeredAt > PATIENCE_MS)
        throw new AppError("node/not-online", `${id} is offline, so nobody can tell what it still runs`, {
          hint: "what runs on it goes on; start its agent and wait again",
        });
      const waitedMs = clock.mono() - startedAt;
      const left = node instanceof AppError ? node.message : leftText(context, node);
      progress.show(`waiting for ${id}: ${left}, ${humanDuration(Math.round(waitedMs / 1000) * 1000)}`);
      if (timeoutMs !== undefined && waitedMs >= timeoutMs)
        throw new AppError("wait/timeout", `${id} is not free after ${humanDuration(timeoutMs)}: ${left}`, {
          hint: `it drains on; \`fleetcron node show ${id}\` tells what runs, \`fleetcron run kill ID\` ends it`,
        });
      await clock.sleep(Math.min(pollMs, timeoutMs === undefined ? pollMs : Math.max(1, timeoutMs - waitedMs)));
    }
  } finally {
    progress.clear();
  }
}
