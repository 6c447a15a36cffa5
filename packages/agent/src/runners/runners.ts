/** The runners of a session host, each loaded with its library when it is used first: a host that only calls HTTP never loads a Kubernetes client. */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Random } from "fleetcron-shared/base/random";
import { sshEnvironment } from "fleetcron-shared/ssh/environment";
import type { Runner, SessionSpec } from "./runner.ts";

type Name = SessionSpec["runner"];

export type RunnersDeps = {
  readonly clock: Clock;
  readonly random: Random;
  /** Fleetcron's. */
  readonly version: string;
  /** The agent's own variables: its ssh-agent, its kubeconfig. */
  readonly env: Readonly<Record<string, string | undefined>>;
};

export type Runners = {
  of(name: Name): Promise<Runner>;
  /** Lets them tidy up at the other ends, for some seconds at most. */
  close(): Promise<void>;
};

type Closable = Runner & { close(): void | Promise<void> };

export function createRunners(deps: RunnersDeps): Runners {
  const loaded = new Map<Name, Promise<Closable>>();
  return {
    of(name) {
      const known = loaded.get(name) ?? load(deps, name);
      loaded.set(name, known);
      return known;
    },
    async close() {
      await Promise.allSettled([...loaded.values()].map(async (runner) => (await runner).close()));
    },
  };
}

/** A runner is only ever given specs of its own name. */
async function load({ clock, random, version, env }: RunnersDeps, name: Name): Promise<Closable> {
  switch (name) {
    case "ssh":
      return (await import("./ssh/ssh-runner.ts")).createSshRunner({ clock, random, environment: sshEnvironment(env) }) as Closable;
    case "http":
      return (await import("./http/http-runner.ts")).createHttpRunner({ version }) as Closable;
    case "kubernetes":
      return (await import("./kubernetes/kubernetes-runner.ts")).createKubernetesRunner({ random, environment: env }) as Closable;
  }
}
