/**
 * The port of the runners whose work is elsewhere (ssh, http, kubernetes). They live in the session host (session-host.ts), a process that outlives the agent:
 * it keeps timeout, kill and deadline, writes the log, and tells the agent what becomes of each run. A runner only knows how to begin, find again and end.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import type { HttpSpec } from "fleetcron-shared/model/runners/http-spec";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import type { SshSpec } from "fleetcron-shared/model/runners/ssh-spec";

/** What the agent hands to the session host; the host's policy has been asked before. */
export type SessionSpec = SessionContext &
  (
    | { readonly runner: "ssh"; readonly spec: SshSpec }
    | { readonly runner: "http"; readonly spec: HttpSpec }
    | { readonly runner: "kubernetes"; readonly spec: KubernetesSpec }
  );

export type SessionContext = {
  readonly execution: string;
  /** From 1. */
  readonly attempt: number;
  /** All variables of the execution but its secrets: the job's, the order's and FLEETCRON_*. */
  readonly env: Readonly<Record<string, string>>;
  /** Values that must not be seen in `ps`, manifests, labels, errors. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The agent's data folder: for what is kept between sessions (known_hosts). */
  readonly dataDir: string;
  /** Networks, as CIDR, that http may reach although they are not public; of the host's policy. */
  readonly networks: readonly string[];
  /** Where that policy is, for people who want to change it. */
  readonly policyFile: string;
  /** Of this attempt; the session host keeps it. Given so that the other end can have a limit of its own, for when the host is gone. */
  readonly timeoutMs?: number;
  /** Between TERM and KILL. */
  readonly killGraceMs?: number;
  /** The job's result is read from standard error: it must be told apart from the output. */
  readonly errorsApart?: boolean;
  /** Of `recover`: how many bytes of output the log has by now. */
  readonly written?: number;
  /** Only these hosts (of a job with several), on a further attempt. */
  readonly onlyHosts?: readonly string[];
};

export type SessionDeps = {
  readonly clock: Clock;
  /** Appends to the execution's log; wait for it before reading more, so that a slow disk slows the sender down. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** The same for standard error where it is told apart: it goes to the log too, unless the job's result is read from it. */
  readonly writeError: (bytes: Uint8Array) => Promise<void>;
  /**
   * The work has begun elsewhere, or has moved on: `trace` is kept in the logbook, and is what `recover` gets. Call it as soon as possible after the point from
   * which on a second start would be a second run. `pid`: of the remote process, where it is known.
   */
  readonly begun: (trace: string, pid?: number) => void;
  /** For the operator of the agent: what could not be cleaned up. No secrets. */
  readonly warn: (message: string) => void;
};

/** What became of one of several hosts. */
export type HostEnd = {
  readonly host: string;
  readonly outcome: Outcome;
  readonly startedAtMs: number;
  readonly durationMs: number;
};

export type SessionEnd = {
  /** `exit` 0 also where there is no exit code: the work was done as asked. Of several hosts: `exit` 0 when all did it, else that of the first that did not. */
  readonly outcome: Outcome;
  /** Of an ssh job with several hosts: each. */
  readonly hosts?: readonly HostEnd[];
  /** The server asks not to be called again sooner. */
  readonly retryAfterMs?: number;
};

export type Session = {
  /** Never rejects; settles also when the remote end never answers again. */
  readonly done: Promise<SessionEnd>;
  /** TERM: ask the remote end to end. KILL: end it by force; `done` settles within 5 s, whether the remote end could be told or not. Idempotent. */
  kill(how: "TERM" | "KILL"): void;
};

export type Runner<S extends SessionSpec = SessionSpec> = {
  /** Never throws. */
  start(spec: S, deps: SessionDeps): Session;
  /**
   * Goes on with a run whose session host died. `trace`: the last one told by `begun`; undefined when none was, so that nobody knows whether it began. Must never
   * run the work twice: what cannot be found again is `lost` (why `session`).
   */
  recover(spec: S, trace: string | undefined, deps: SessionDeps): Session;
};
