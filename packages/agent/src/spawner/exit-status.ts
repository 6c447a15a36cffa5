/** What the kernel said about an end, as an outcome. Pure. */
import { constants } from "node:os";
import type { Outcome } from "fleetcron-shared/model/record";
import type { Limits } from "./protocol.ts";

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** `SIGKILL` for 9; a number that has no name (real-time signals) as `SIG<number>`. */
export function signalName(number: number): string {
  return NAMES.get(number) ?? `SIG${number}`;
}

/** The outcome of a process that ended by itself or by a signal that the spawner did not send. `oomKills` tells whether the kernel has just killed for memory. */
export function outcomeOf(
  status: { code: number | undefined; signal: number | undefined },
  facts: { limits: Limits | undefined; killedForMemory: boolean },
): Outcome {
  if (status.signal === undefined) return { type: "exit", code: status.code ?? 0 };
  const name = signalName(status.signal);
  if (name === "SIGKILL" && facts.killedForMemory) return { type: "oom" };
  return { type: "signal", name, sender: likelySender(name, facts.limits) };
}

/** No one can ask the kernel afterwards who sent a signal; most signals have one usual origin. */
function likelySender(name: string, limits: Limits | undefined): string {
  switch (name) {
    case "SIGSEGV":
    case "SIGBUS":
    case "SIGILL":
    case "SIGFPE":
    case "SIGTRAP":
    case "SIGSYS":
      return "the kernel: the program did something that it must not";
    case "SIGABRT":
      return "the program itself (abort)";
    case "SIGPIPE":
      return "the kernel: the program wrote to a closed pipe";
    case "SIGALRM":
    case "SIGVTALRM":
    case "SIGPROF":
      return "a timer of the program itself";
    case "SIGXCPU":
      return limits?.cpuSeconds === undefined
        ? "the kernel: a limit of cpu time"
        : `the kernel: limits.cpu (${limits.cpuSeconds} s) is used up`;
    case "SIGXFSZ":
      return "the kernel: a limit of file size";
    case "SIGKILL":
      return limits?.cpuSeconds === undefined
        ? "somebody on the host or the kernel, not the agent"
        : "the kernel (limits.cpu) or somebody on the host, not the agent";
    default:
      return "somebody on the host or the program itself, not the agent";
  }
}
