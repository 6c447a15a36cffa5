/** A kubernetes runner that is driven as the session host does, with its log, traces and warnings. */
import { writeFileSync } from "node:fs";
import { systemClock } from "fleetcron-shared/base/clock";
import { systemRandom } from "fleetcron-shared/base/random";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import {
  createKubernetesRunner,
  type KubernetesRunnerDeps,
  type KubernetesSession,
} from "../../../packages/agent/src/runners/kubernetes/kubernetes-runner.ts";
import type { Timing } from "../../../packages/agent/src/runners/kubernetes/timing.ts";
import type { Session, SessionDeps } from "../../../packages/agent/src/runners/runner.ts";
import { tempFolder } from "../processes.ts";
import { type KubeApi, type Listen, startKubeApi, TOKEN } from "./server.ts";

/** So short that tests do not wait, and so long that a busy machine does not fail them. */
const TIMING: Partial<Timing> = { backoff: { firstMs: 20, maxMs: 200 }, reachMs: 600, drainMs: 3000, traceMs: 0, pollMs: 50 };

export type Driven = Session & {
  readonly log: () => string;
  readonly traces: readonly string[];
  readonly warnings: readonly string[];
};

export type Bench = {
  readonly api: KubeApi;
  readonly kubeconfig: string;
  readonly folder: string;
  start(spec: Partial<KubernetesSpec>, more?: Partial<KubernetesSession>): Driven;
  recover(spec: Partial<KubernetesSpec>, trace: string | undefined, more?: Partial<KubernetesSession>): Driven;
  [Symbol.asyncDispose](): Promise<void>;
};

/** `port`: of a proxy in front of the API. */
export async function startBench(
  options: {
    listen?: Listen;
    serviceAccount?: string;
    timing?: Partial<Timing>;
    environment?: KubernetesRunnerDeps["environment"] | ((port: number) => KubernetesRunnerDeps["environment"]);
  } = {},
): Promise<Bench> {
  const api = await startKubeApi(options.listen);
  const folder = tempFolder();
  const kubeconfig = folder.file("kubeconfig");
  writeFileSync(kubeconfig, kubeconfigText(api.port));
  const serviceAccount = options.serviceAccount === undefined ? {} : { serviceAccount: options.serviceAccount };
  const environment =
    typeof options.environment === "function" ? options.environment(api.port) : (options.environment ?? { KUBECONFIG: kubeconfig });
  const runner = createKubernetesRunner({
    ...serviceAccount,

    random: systemRandom,
    environment,
    timing: { ...TIMING, ...options.timing },
  });

  function drive(
    begin: (session: KubernetesSession, deps: SessionDeps) => Session,
    spec: Partial<KubernetesSpec>,
    more: Partial<KubernetesSession> = {},
  ): Driven {
    const chunks: Uint8Array[] = [];
    const traces: string[] = [];
    const warnings: string[] = [];
    const write = async (bytes: Uint8Array) => void chunks.push(Uint8Array.from(bytes));
    const deps: SessionDeps = {
      clock: systemClock,
      write,
      writeError: write,
      begun: (trace) => void traces.push(trace),
      warn: (message) => void warnings.push(message),
    };
    return { ...begin(sessionOf(folder.path, spec, more), deps), log: () => Buffer.concat(chunks).toString(), traces, warnings };
  }

  return {
    api,
    kubeconfig,
    folder: folder.path,
    start: (spec, more) => drive((session, deps) => runner.start(session, deps), spec, more),
    recover: (spec, trace, more) => drive((session, deps) => runner.recover(session, trace, deps), spec, more),
    async [Symbol.asyncDispose]() {
      await runner.close();
      await api[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

export function kubeconfigText(port: number, user = `token: ${TOKEN}`): string {
  return `apiVersion: v1
kind: Config
current-context: test
contexts: [{ name: test, context: { cluster: test, user: tester, namespace: work } }, { name: lost, context: { cluster: nowhere, user: tester } }]
clusters: [{ name: test, cluster: { server: "http://127.0.0.1:${port}", insecure-skip-tls-verify: true } }]
users: [{ name: tester, user: { ${user} } }]
`;
}

function sessionOf(dataDir: string, spec: Partial<KubernetesSpec>, more: Partial<KubernetesSession>): KubernetesSession {
  const env = { FLEETCRON_GROUP: "demo", FLEETCRON_JOB: "build", FLEETCRON_NODE: "node a" };
  return {
    runner: "kubernetes",
    execution: "01JTEST",
    attempt: 1,
    secrets: {},
    policyFile: "/nowhere",
    dataDir,
    networks: [],
    spec,
    ...more,
    env: { ...env, ...more.env },
  };
}

/** The YAML of a Job with one container. */
export function jobYaml(container = "command: [/bin/true]", more: { spec?: string; pod?: string } = {}): string {
  return `apiVersion: batch/v1
kind: Job
metadata: {}
spec:
  ${more.spec ?? "backoffLimit: 0"}
  template:
    spec:
      ${more.pod ?? "restartPolicy: Never"}
      containers:
        - name: main
          image: registry.example/image:1
          ${container}
`;
}
