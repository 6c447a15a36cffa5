/** Whether a body matches a job's regular expression. In a thread of its own: an expression that tries for ever cannot be stopped in this one. */
import { Worker } from "node:worker_threads";
import type { Clock } from "fleetcron-shared/base/clock";

/** Plain JavaScript, so that the thread needs no loader. */
const PROGRAM = `const { workerData, parentPort } = require("node:worker_threads");
parentPort.postMessage(new RegExp(workerData.pattern, "m").test(workerData.text));`;

/** `tooLong`: no answer within `limitMs` of work. Rejects when the thread cannot do it, and when `signal` aborts. */
export async function matchBody(
  deps: { clock: Pick<Clock, "after"> },
  pattern: string,
  text: string,
  options: { limitMs: number; signal: AbortSignal },
): Promise<boolean | "tooLong"> {
  const { signal } = options;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<boolean | "tooLong">();
  const worker = new Worker(PROGRAM, { eval: true, workerData: { pattern, text }, env: {}, execArgv: [], stdin: false });
  let cancel = () => {};
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  worker.once("online", () => {
    cancel = deps.clock.after(options.limitMs, () => resolve("tooLong"));
  });
  worker.once("message", resolve);
  worker.once("error", reject);
  worker.once("exit", () => reject(new Error("the thread has ended")));
  try {
    return await promise;
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
    await worker.terminate();
  }
}
