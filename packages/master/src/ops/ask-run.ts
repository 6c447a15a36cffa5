/**
 * What people want of a run: it is written down as a request, which the leader's engine handles in one transaction with its effect, and answers. A
 * request that was not answered in time stays and may still be done: asking again does no harm.
 */

import { ERROR_TABLE, type ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError } from "fleetcron-shared/base/errors";
import type { RunAnswer, RunRequest } from "fleetcron-shared/model/pipeline/request";
import { absent } from "fleetcron-shared/store/kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { PipelineRunView } from "../http/pipeline-schema.ts";
import { passing } from "../kill-points.ts";
import { findRun } from "./find-run.ts";
import type { Once } from "./once.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { settle } from "./settle.ts";

/** How long the leader's answer is waited for. */
const ANSWER_MS = 15_000;

type AskDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "newId" | "log" | "orderLease" | "random" | "passPoint">;

/** The run as it is then. Throws what the engine refuses it with, `pipeline/no-run`, `wait/timeout`. */
export async function askRun(
  deps: AskDeps,
  id: string,
  pipeline: string | undefined,
  event: RunRequest["event"],
  once?: Once,
): Promise<PipelineRunView> {
  const { keys, clock } = deps;
  const { ref } = await findRun(deps, id, pipeline);
  if (once?.made === true) return (await findRun(deps, id, `${ref.group}/${ref.id}`)).view;
  const request = once?.id ?? deps.newId();
  const value: RunRequest = { v: 1, run: id, pipeline: ref, event, ask: true };
  const key = keys.request(request);
  const lease = await deps.orderLease.current();
  const { promise, resolve } = Promise.withResolvers<RunAnswer | undefined>();
  const answers = openMirror(deps, {
    prefix: keys.answer(request),
    onEvents(events) {
      for (const one of events) {
        if (one.type === "put" && one.kv.key === keys.answer(request)) resolve(tryDecode<RunAnswer>(one.kv.key, one.kv.value) ?? { v: 1 });
      }
    },
  });
  try {
    const txn = { if: [absent(key), absent(keys.answer(request))], then: [{ op: "put", key, value: encode(value), lease }] } as const;
    await passing(deps.passPoint, ["ask"], () => settle(deps.kv, txn));
    const disarm = clock.after(ANSWER_MS, () => resolve(undefined));
    const answer = await promise.finally(disarm);
    if (answer === undefined) {
      throw new AppError("wait/timeout", `no leader has answered about run ${id} within ${ANSWER_MS / 1000} s`, {
        hint: "the request stays for an hour and may still be done: look at the run before you repeat it",
      });
    }
    if (answer.refused !== undefined) throw refusal(answer.refused);
    return (await findRun(deps, id, `${ref.group}/${ref.id}`)).view;
  } finally {
    await answers.close();
  }
}

function refusal({ code, message, hint, issues }: NonNullable<RunAnswer["refused"]>): AppError {
  const known: ErrorCode = code in ERROR_TABLE ? (code as ErrorCode) : "pipeline/not-now";
  return new AppError(known, message, { ...(hint === undefined ? {} : { hint }), ...(issues === undefined ? {} : { issues }) });
}
