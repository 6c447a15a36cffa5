/**
 * How a command ended, from what the shell that waited for it has to say. `wait` alone cannot tell `exit 143` from SIGTERM; the words of `jobs` can. Shells differ
 * in which value of `wait` is the command's: one of the two is, or none (busybox), and then the words decide.
 */
import { constants } from "node:os";
import type { Outcome } from "fleetcron-shared/model/record";

/** `wait` was interrupted by SIGCHLD (17), not ended by it: no process dies of that. */
const INTERRUPTED = 128 + 17;
const NO_SUCH_JOB = 127;

/** strsignal of glibc and musl, where they are not the signal's name. */
const WORDS: readonly (readonly [string, string])[] = [
  ["Hangup", "SIGHUP"],
  ["Interrupt", "SIGINT"],
  ["Quit", "SIGQUIT"],
  ["Illegal instruction", "SIGILL"],
  ["Trace/breakpoint trap", "SIGTRAP"],
  ["Aborted", "SIGABRT"],
  ["Bus error", "SIGBUS"],
  ["Floating point exception", "SIGFPE"],
  ["Arithmetic exception", "SIGFPE"],
  ["Killed", "SIGKILL"],
  ["User defined signal 1", "SIGUSR1"],
  ["User defined signal 2", "SIGUSR2"],
  ["Segmentation fault", "SIGSEGV"],
  ["Broken pipe", "SIGPIPE"],
  ["Alarm clock", "SIGALRM"],
  ["Terminated", "SIGTERM"],
  ["Stack fault", "SIGSTKFLT"],
  ["CPU time limit exceeded", "SIGXCPU"],
  ["File size limit exceeded", "SIGXFSZ"],
  ["Virtual timer expired", "SIGVTALRM"],
  ["Profiling timer expired", "SIGPROF"],
  ["I/O possible", "SIGIO"],
  ["Power failure", "SIGPWR"],
  ["Bad system call", "SIGSYS"],
];

/** `first` and `second`: the values of `wait`; `text`: the last line of `jobs`. */
export function exitOf(first: number, second: number, text: string): Outcome {
  const words = /^\[\d+\]\s*[+-]?\s*(.*)$/.exec(text)?.[1] ?? "";
  const code = /^(?:Done\((\d+)\)|Exit (\d+))/.exec(words);
  if (code !== null) return { type: "exit", code: Number(code[1] ?? code[2]) };
  if (words.startsWith("Done")) return { type: "exit", code: 0 };
  const value = [second, first].find((each) => each !== INTERRUPTED && each !== NO_SUCH_JOB);
  // Without a word only the value is left; Running and Stopped are stale.
  if (value !== undefined && value <= 128 && (words === "" || /^(Running|Stopped)/.test(words))) return { type: "exit", code: value };
  if (value !== undefined && value > 128) return { type: "signal", name: signalName(value - 128) };
  return { type: "signal", name: WORDS.find(([word]) => words.startsWith(word))?.[1] ?? "SIGKILL" };
}

function signalName(number: number): string {
  // Several names of one number: the usual one stands first.
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `SIG${number}`;
}
