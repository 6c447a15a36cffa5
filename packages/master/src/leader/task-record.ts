/**
 * How the record of a pipeline's task finds its way back: its order's id says what it is for. Filing it leaves a request for the engine in the
 * same transaction, so the run hears of it at least once; hearing of it twice changes nothing. Pure.
 */
import { parseTaskOrderId, type RunRequest } from "fleetcron-shared/model/pipeline/request";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

/** The fields that say whose the record is, and the request of its last attempt. */
export type TaskAdditions = { readonly fields: Pick<ExecutionRecord, "runId" | "taskId">; readonly requests: readonly Op[] };

/** Undefined for records of others. */
export function taskAdditions(keys: Keys, record: ExecutionRecord): TaskAdditions | undefined {
  const order = parseTaskOrderId(record.orderId);
  if (order === undefined) return undefined;
  const { run, task, attempt } = order;
  const fields = { runId: run, taskId: task };
  if (!record.finalAttempt) return { fields, requests: [] };
  const { outcome, result, success, execution } = record;
  const ran = didRun(outcome) && outcome.type !== "spawnFailed" && outcome.type !== "unreachable";
  const outputs = success ? result?.outputs : undefined;
  const request: RunRequest = {
    v: 1,
    run,
    event: {
      type: "ended",
      task,
      attempt,
      execution,
      success,
      ran,
      message: wordsOf(record),
      ...(outputs === undefined ? {} : { outputs }),
    },
  };
  return { fields, requests: [{ op: "put", key: keys.request(record.id), value: encode(request) }] };
}

function wordsOf({ outcome, result, success }: ExecutionRecord): string {
  if (result?.message !== undefined) return result.message;
  if (success) return "";
  if (outcome.type === "killed") return `killed by ${outcome.by}${outcome.reason === "" ? "" : `: ${outcome.reason}`}`;
  if (outcome.type === "spawnFailed") return `could not start: ${outcome.error}`;
  if (outcome.type === "unreachable") return `could not be reached: ${outcome.error}`;
  if (outcome.type === "failed") return `${outcome.error} (${outcome.code})`;
  if (outcome.type === "skipped" && outcome.detail !== undefined) return `${outcomeWord(outcome)} (${outcome.detail})`;
  return outcomeWord(outcome);
}
