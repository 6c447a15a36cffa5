/**
 * Parses and checks job files in a thread of its own, because that takes seconds for thousands of jobs and the main thread renews the leader's
 * session. The thread is kept warm; requests wait their turn in it. Should it die, what it had in hand fails, and the next request gets a new one.
 */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { JobFile } from "fleetcron-shared/model/job-file";
import type { CheckedChannel, CheckedJob, CheckedPipeline, FromChecker, ToChecker } from "./file-checker-protocol.ts";
import { createTurns } from "./turns.ts";

export type CheckedFiles = {
  readonly jobs: readonly CheckedJob[];
  readonly pipelines: readonly CheckedPipeline[];
  readonly channels: readonly CheckedChannel[];
};

export type FileChecker = {
  /** What is in the files; throws like `parseJobFiles`, with the checks of their meaning. */
  check(files: readonly JobFile[], nowMs: number): Promise<CheckedFiles>;
  close(): Promise<void>;
};

type Answer = { readonly portions: readonly string[] } & Omit<CheckedFiles, "jobs">;
type Request = { readonly portions: string[]; resolve(answer: Answer): void; reject(error: AppError): void };

/** Starts the thread. */
export function openFileChecker(deps: { clock: Pick<Clock, "mono" | "sleep">; log: Log }): FileChecker {
  const { clock, log } = deps;
  const requests = new Map<number, Request>();
  let requested = 0;
  let closed = false;
  let worker: Worker | undefined = start();

  function start(): Worker {
    const started = new Worker(new URL(`./file-checker-worker${extname(import.meta.url)}`, import.meta.url));
    let cause: unknown;
    started.on("message", receive);
    started.once("error", (error) => {
      cause = error;
    });
    started.once("exit", () => {
      if (worker === started) worker = undefined;
      if (!closed) log.error({ err: cause, requests: requests.size }, "the checker of job files died");
      for (const { reject } of requests.values()) reject(new AppError("internal/bug", "the checker of job files died", { cause }));
      requests.clear();
    });
    return started;
  }

  function receive(message: FromChecker): void {
    const request = requests.get(message.id);
    if (request === undefined) return;
    if (message.t === "jobs") return void request.portions.push(message.jobs);
    requests.delete(message.id);
    if (message.t === "end") request.resolve({ portions: request.portions, pipelines: message.pipelines, channels: message.channels });
    else {
      const { code, message: text, hint, issues } = message;
      request.reject(new AppError(code, text, { issues, ...(hint === undefined ? {} : { hint }) }));
    }
  }

  function ask(files: readonly JobFile[], nowMs: number): Promise<Answer> {
    if (closed) return Promise.reject(new AppError("server/not-ready", "the master is stopping"));
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const id = ++requested;
    requests.set(id, { portions: [], resolve, reject });
    worker ??= start();
    worker.postMessage({ id, files, nowMs } satisfies ToChecker);
    return promise;
  }

  return {
    async check(files, nowMs) {
      const turn = createTurns(clock);
      const jobs: CheckedJob[] = [];
      const { portions, ...others } = await ask(files, nowMs);
      for (const portion of portions) {
        jobs.push(...(JSON.parse(portion) as CheckedJob[]));
        await turn();
      }
      return { jobs, ...others };
    },
    async close() {
      closed = true;
      await worker?.terminate();
    },
  };
}
