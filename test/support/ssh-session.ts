/** The ssh runner with its port's other side: what a session writes, tells and warns of is kept for the test to look at. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { systemRandom } from "fleetcron-shared/base/random";
import type { SshSpec } from "fleetcron-shared/model/runners/ssh-spec";
import type { Session, SessionDeps, SessionEnd } from "../../packages/agent/src/runners/runner.ts";
import {
  createSshRunner,
  type SshRunner,
  type SshRunnerOptions,
  type SshSessionSpec,
} from "../../packages/agent/src/runners/ssh/ssh-runner.ts";
import type { SshBench } from "./sshd.ts";

export type Driven = {
  readonly session: Session;
  readonly spec: SshSessionSpec;
  readonly done: Promise<SessionEnd>;
  log(): string;
  bytes(): Buffer;
  readonly errors: () => string;
  readonly warnings: string[];
  readonly traces: string[];
  /** The last pid that was told. */
  pid(): number | undefined;
};

export type DriveOptions = Partial<Omit<SshSessionSpec, "spec" | "runner">> & { readonly deps?: Partial<SessionDeps> };

/** An execution that no other test has. */
export function sshSpec(bench: SshBench, spec: SshSpec, options: DriveOptions = {}): SshSessionSpec {
  const { deps: _, ...more } = options;
  const execution = `e${randomUUID()}`;
  const env = { FLEETCRON_EXECUTION: execution };
  const base = { execution, attempt: 1, env, secrets: {}, dataDir: join(bench.folder, "data"), networks: [], policyFile: "" };
  return { ...base, ...more, env: { ...env, ...more.env }, runner: "ssh", spec };
}

/** What its sessions keep on the host goes with the bench. */
export function openRunner(bench: SshBench, options: SshRunnerOptions = {}): SshRunner & AsyncDisposable {
  const runner = createSshRunner(
    { clock: systemClock, random: systemRandom, environment: bench.environment },
    { bases: [bench.folder], ...options },
  );
  return { ...runner, [Symbol.asyncDispose]: () => runner.close() };
}

export function drive(
  runner: SshRunner,
  spec: SshSessionSpec,
  options: DriveOptions = {},
  recoverFrom?: { trace: string | undefined },
): Driven {
  const written: Buffer[] = [];
  const errors: Buffer[] = [];
  const warnings: string[] = [];
  const traces: string[] = [];
  let pid: number | undefined;
  const deps: SessionDeps = {
    clock: systemClock,
    write: async (bytes) => void written.push(Buffer.from(bytes)),
    writeError: async (bytes) => void errors.push(Buffer.from(bytes)),
    begun: (trace, remote) => {
      traces.push(trace);
      pid = remote ?? pid;
    },
    warn: (message) => void warnings.push(message),
    ...options.deps,
  };
  const session = recoverFrom === undefined ? runner.start(spec, deps) : runner.recover(spec, recoverFrom.trace, deps);
  return {
    session,
    spec,
    done: session.done,
    bytes: () => Buffer.concat(written),
    log: () => Buffer.concat(written).toString(),
    errors: () => Buffer.concat(errors).toString(),
    warnings,
    traces,
    pid: () => pid,
  };
}

/** Starts a job's ssh part and waits for its end. */
export async function runSsh(
  bench: SshBench,
  runner: SshRunner,
  spec: SshSpec,
  options: DriveOptions = {},
): Promise<Driven & { end: SessionEnd }> {
  const driven = drive(runner, sshSpec(bench, spec, options), options);
  return { ...driven, end: await driven.done };
}
