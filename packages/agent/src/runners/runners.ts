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

export function createRunners(deps: RunnersDeps): (name: Name) => Promise<Runner> {
  const loaded = new Map<Name, Promise<Runner>>();
  return (name) => {
    const known = loaded.get(name) ?? load(deps, name);
    loaded.set(name, known);
    return known;
  };
}

/** A runner is only ever given specs of its own name. */
async function load({ clock, random, version, env }: RunnersDeps, name: Name): Promise<Runner> {
  switch (name) {
    case "ssh":
      return (await import("./ssh/ssh-runner.ts")).createSshRunner({ clock, random, environment: sshEnvironment(env) }) as Runner;
    case "http":
      return (await import("./http/http-runner.ts")).createHttpRunner({ version }) as Runner;
    case "kubernetes":
      return (await import("./kubernetes/kubernetes-runner.ts")).createKubernetesRunner({ random, environment: env }) as Runner;
  }
}
