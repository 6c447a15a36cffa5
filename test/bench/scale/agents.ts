/** Simulated agents, in as many processes as there are cores, so that not they are what is measured. */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Answer, Ask, Look } from "./agents-process.ts";

export type SimAgents = {
  readonly count: number;
  readonly pids: readonly number[];
  look(): Promise<Look>;
  /** Hands in records at this rate for so long; resolves with how many it was. */
  post(perSecond: number, forMs: number): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

const SESSION_TTL_MS = 10_000;
const SMALL = 50;

/** Nodes `sim-0` …, each with a label `slot` of its own. Resolves when all are announced and have listed their dispatches. */
export async function startSimAgents(etcd: string, count: number): Promise<SimAgents> {
  const processes = count <= SMALL ? 1 : Math.min(2, availableParallelism());
  const children = Array.from({ length: processes }, startProcess);
  const all = (ask: (index: number) => Ask) => Promise.all(children.map((child, i) => request(child, ask(i))));
  const share = (i: number) => Math.round((count * i) / processes);
  const stop = () => Promise.all(children.map(end));
  try {
    await all((i) => ({ do: "start", etcd, from: share(i), to: share(i + 1), sessionTtlMs: SESSION_TTL_MS }));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    count,
    pids: children.map(({ pid }) => pid ?? -1),
    async look() {
      const looks = (await all(() => ({ do: "look" }))).map(({ look }) => look);
      const sum = (of: (one: Look) => number) => looks.reduce((total, one) => total + of(one), 0);
      return {
        held: sum((one) => one.held),
        waiting: sum((one) => one.waiting),
        changedMs: Math.max(...looks.map((one) => one.changedMs)),
      };
    },
    async post(perSecond, forMs) {
      const answers = await all(() => ({ do: "post", perSecond: perSecond / processes, forMs }));
      return answers.reduce((sum, { posted }) => sum + posted, 0);
    },
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

function startProcess(): ChildProcess {
  const child = fork(fileURLToPath(new URL("agents-process.ts", import.meta.url)), [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const onExit = () => child.kill("SIGKILL");
  process.on("exit", onExit);
  child.once("exit", () => process.off("exit", onExit));
  return child;
}

function request(child: ChildProcess, ask: Ask): Promise<Extract<Answer, { look: Look }>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a process of simulated agents ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      const answer = message as Answer;
      if ("error" in answer) reject(new Error(answer.error));
      else resolve(answer);
    });
    child.send(ask);
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
