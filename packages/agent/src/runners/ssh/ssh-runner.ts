/**
 * The ssh runner: a command on hosts that have no agent. One instance per session host; it holds the connections that its sessions share. What happens on one
 * host is host-session.ts; this is many hosts, their log, their results and what is kept for `recover`.
 */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Random } from "fleetcron-shared/base/random";
import type { Outcome } from "fleetcron-shared/model/record";
import type { SshEnvironment } from "fleetcron-shared/ssh/environment";
import { outcomeOfFailure, SshError } from "fleetcron-shared/ssh/failure";
import type { HostEnd, Runner, Session, SessionDeps, SessionEnd, SessionSpec } from "../runner.ts";
import { type HostResult, type HostSession, runHostSession } from "./host-session.ts";
import { prefixLines } from "./line-prefix.ts";
import { loginSecrets, placeOf } from "./places.ts";
import { openPool, type SshPool } from "./pool.ts";
import { type HostTrace, parseTrace, type Trace, traceText } from "./trace.ts";
import { unusableVariable } from "./wrapper.ts";

const MAX_PARALLEL = 10;
const RECONNECT_MS = 120_000;
/** How often the trace tells how far the output came. */
const TRACE_EVERY_MS = 1000;
/** Before the runner is closed, the hosts' folders are removed; nobody waits longer for that. */
const FORGET_WITHIN_MS = 5000;

/** Of `errorsApart`, at most 1 MiB comes, at the end. `written` leaves neither gap nor double byte where the job has one host. */
export type SshSessionSpec = SessionSpec & { readonly runner: "ssh" };

export type SshRunnerDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly environment: SshEnvironment;
};

export type SshRunnerOptions = {
  /** The POSIX shell on the hosts. Default `/bin/sh`. */
  readonly shell?: string;
  /** Folders on the hosts for what is under way, the first usable one. They must outlive a login session, so `$XDG_RUNTIME_DIR` does not do. Default `/var/tmp`, `/tmp`. */
  readonly bases?: readonly string[];
  /** How long a cut connection is tried to be made again. Default 2 min. */
  readonly reconnectMs?: number;
};

export type SshRunner = Runner<SshSessionSpec> & {
  /** Tidies up on the hosts for 5 s at most and closes all connections; sessions that are under way go on there. */
  close(): Promise<void>;
};

export function createSshRunner(deps: SshRunnerDeps, options: SshRunnerOptions = {}): SshRunner {
  const pool = openPool(deps);
  const tidying = new Set<Promise<void>>();
  const begin = (spec: SshSessionSpec, session: SessionDeps, trace: Trace, isRecovery: boolean) =>
    runSession({ ...deps, pool, tidying }, options, spec, session, trace, isRecovery);
  return {
    start: (spec, session) => begin(spec, session, new Map(), false),
    recover(spec, text, session) {
      // Nobody knows what was begun: each host is asked, and none is begun.
      const all = new Map(hostsOf(spec).map((host): [string, HostTrace] => [host, { type: "begun", offset: spec.written ?? 0 }]));
      return begin(spec, session, (text === undefined ? undefined : parseTrace(text)) ?? all, true);
    },
    async close() {
      const enough = new AbortController();
      await Promise.race([Promise.all(tidying), deps.clock.sleep(FORGET_WITHIN_MS, enough.signal)]);
      enough.abort();
      pool.close();
    },
  };
}

type All = SshRunnerDeps & { readonly pool: SshPool; readonly tidying: Set<Promise<void>> };

function runSession(
  deps: All,
  options: SshRunnerOptions,
  spec: SshSessionSpec,
  session: SessionDeps,
  trace: Trace,
  isRecovery: boolean,
): Session {
  const hosts = hostsOf(spec);
  const isMany = spec.spec.hosts.length > 1;
  const state = new Map<string, HostTrace>(trace);
  const running = new Map<string, HostSession>();
  const ends = new Map<string, HostEnd>();
  let wanted: "TERM" | "KILL" | undefined;
  let remotePid: number | undefined;
  let toldAt = Number.NEGATIVE_INFINITY;
  let lastWrite: Promise<void> = Promise.resolve();

  function tell(): void {
    toldAt = deps.clock.mono();
    session.begun(traceText(state), remotePid);
  }

  /** Hosts write at the same time; the log takes one piece after the other. */
  function writeInTurn(bytes: Uint8Array): Promise<void> {
    const written = lastWrite.then(() => session.write(bytes));
    lastWrite = written.catch(() => {});
    return written;
  }

  async function runHost(host: string): Promise<void> {
    const known = trace.get(host);
    if (known?.type === "ended") return void ends.set(host, known.end);
    const startedAtMs = deps.clock.now();
    const startedMono = deps.clock.mono();
    const { outcome, forget } = await oneHost(host, known);
    const end = { host, outcome: masked(outcome, spec.secrets), startedAtMs, durationMs: Math.round(deps.clock.mono() - startedMono) };
    ends.set(host, end);
    state.set(host, { type: "ended", end });
    running.delete(host);
    if (isMany) tell();
    if (forget !== undefined) tidy(forget());
  }

  async function oneHost(host: string, known: HostTrace | undefined): Promise<HostResult & { forget?: () => Promise<void> }> {
    if (wanted !== undefined && known === undefined) return { outcome: { type: "signal", name: `SIG${wanted}` } };
    const lines = isMany ? prefixLines(`${host} | `, writeInTurn) : undefined;
    const offset = () => running.get(host)?.offset ?? 0;
    const goOnFrom = known?.type === "begun" ? (isMany || !isRecovery ? known.offset : (spec.written ?? known.offset)) : undefined;
    try {
      const { secrets, env, execution, attempt } = spec;
      const own = loginSecrets(spec.spec);
      const jobSecrets = Object.fromEntries(Object.entries(secrets).filter(([name]) => !own.includes(name)));
      const commandEnv = { ...env, ...jobSecrets };
      const wrong = unusableVariable(commandEnv);
      if (wrong !== undefined)
        return {
          outcome: {
            type: "failed",
            code: "runner/spec",
            error: `${host}: the variable ${JSON.stringify(wrong)} cannot be given to a shell`,
          },
        };
      const hostSession = runHostSession(
        {
          ...deps,
          warn: session.warn,
          begun: () => {
            state.set(host, { type: "begun", offset: 0 });
            tell();
          },
          pid: (pid) => {
            if (isMany) return;
            remotePid = pid;
            tell();
          },
          output: async (bytes) => {
            await (lines === undefined ? session.write(bytes) : lines.write(bytes));
            if (deps.clock.mono() - toldAt < TRACE_EVERY_MS) return;
            state.set(host, { type: "begun", offset: offset() + bytes.length });
            tell();
          },
        },
        {
          host,
          place: placeOf(deps, spec.spec, spec, host),
          context: {
            id: folderName(execution, attempt, isMany ? host : undefined),
            shell: options.shell ?? "/bin/sh",
            bases: options.bases ?? ["/var/tmp", "/tmp"],
          },
          command: {
            spec: spec.spec,
            env: commandEnv,
            timeoutMs: spec.timeoutMs === 0 ? undefined : spec.timeoutMs,
            killGraceMs: spec.killGraceMs ?? 10_000,
            errorsApart: spec.errorsApart === true,
          },
          goOnFrom,
          reconnectMs: options.reconnectMs ?? RECONNECT_MS,
        },
      );
      running.set(host, hostSession);
      if (wanted !== undefined) hostSession.kill(wanted);
      const end = await hostSession.done;
      await lines?.end();
      if (end.errors !== undefined) await session.writeError(end.errors);
      if (!isMany && end.result !== undefined) await keepResult(end.result);
      return { ...end, forget: hostSession.forget };
    } catch (error) {
      if (error instanceof SshError) return { outcome: outcomeOfFailure(error.failure) };
      return { outcome: { type: "failed", code: "runner/spec", error: `${host}: ${asError(error).message}` } };
    }
  }

  async function keepResult(bytes: Buffer): Promise<void> {
    const path = spec.env.FLEETCRON_RESULT;
    if (path === undefined) return;
    await writeFile(path, bytes, { mode: 0o600 }).catch((error: unknown) =>
      session.warn(`the result could not be kept in ${path}: ${asError(error).message}`),
    );
  }

  function tidy(removal: Promise<void>): void {
    deps.tidying.add(removal);
    void removal.finally(() => deps.tidying.delete(removal));
  }

  async function all(): Promise<SessionEnd> {
    const left = [...hosts];
    const worker = async () => {
      for (let host = left.shift(); host !== undefined; host = left.shift()) await runHost(host);
    };
    await Promise.all(Array.from({ length: Math.min(hosts.length, spec.spec.maxParallel ?? MAX_PARALLEL) }, worker));
    const inOrder = hosts.flatMap((host) => ends.get(host) ?? []);
    const outcome: Outcome = inOrder.find((end) => !isDone(end.outcome))?.outcome ?? { type: "exit", code: 0 };
    return isMany ? { outcome, hosts: inOrder } : { outcome };
  }

  return {
    done: all(),
    kill(how) {
      if (wanted === "KILL") return;
      wanted = how;
      for (const each of running.values()) each.kill(how);
    },
  };
}

function hostsOf({ spec, onlyHosts }: SshSessionSpec): string[] {
  return spec.hosts.filter((host) => onlyHosts === undefined || onlyHosts.includes(host));
}

function isDone(outcome: Outcome): boolean {
  return outcome.type === "exit" && outcome.code === 0;
}

/** The session's folder on a host. Two names of a job may lead to one machine, so each has its own. Ids that are no file names are written in another way. */
function folderName(execution: string, attempt: number, host: string | undefined): string {
  const name = /^[A-Za-z0-9._-]{1,120}$/.test(execution) ? execution : Buffer.from(execution).toString("hex").slice(0, 200);
  const which = host === undefined ? "" : `-${createHash("sha256").update(host).digest("hex").slice(0, 12)}`;
  return `${name}-${attempt}${which}`;
}

/** What a server says may repeat what it was told. */
function masked(outcome: Outcome, secrets: Readonly<Record<string, string>>): Outcome {
  if (!("error" in outcome)) return outcome;
  const error = Object.values(secrets).reduce((text, secret) => (secret.length < 3 ? text : text.replaceAll(secret, "***")), outcome.error);
  return { ...outcome, error };
}
