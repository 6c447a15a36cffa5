/**
 * From the job's fields and the host's files to a connection: which kubeconfig, which context, which namespace. A kubeconfig may say that a program
 * is run for the credentials; that is allowed only in the agent's own kubeconfig, because whoever writes jobs could otherwise name any file and so
 * run a program past the host's policy.
 */
import { readFileSync } from "node:fs";
import type { KubeConfig, User } from "@kubernetes/client-node";
import type { Clock } from "fleetcron-shared/base/clock";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import { type Api, createApi, loadClient } from "./api.ts";
import { failed } from "./failed.ts";

/** Of the agent's environment. */
export type ClusterEnvironment = {
  readonly KUBECONFIG?: string | undefined;
  readonly HOME?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
};

export type Connection = { readonly api: Api; readonly namespace: string; readonly applyPatch: string; readonly mergePatch: string };

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Throws `kubernetes/config`. `serviceAccount`: the folder that pods have their credentials in. */
export async function connect(
  deps: { clock: Clock; environment: ClusterEnvironment; requestMs: number; serviceAccount?: string | undefined },
  spec: Pick<KubernetesSpec, "kubeconfig" | "context">,
): Promise<Connection> {
  const client = await loadClient();
  const config = new client.KubeConfig();
  const source = load(config, () => new client.KubeConfig(), deps, spec.kubeconfig);
  const known = config.getContexts().map(({ name }) => name);
  const context = spec.context ?? config.getCurrentContext();
  if (context === undefined || context === "")
    throw failed(
      "kubernetes/config",
      `${source} has no current-context; give run.kubernetes.context one of: ${known.join(", ") || "(none)"}`,
    );
  if (!known.includes(context))
    throw failed("kubernetes/config", `there is no context "${context}" in ${source}; its contexts: ${known.join(", ") || "(none)"}`);
  config.setCurrentContext(context);
  if (config.getCurrentCluster() === null)
    throw failed("kubernetes/config", `the context "${context}" of ${source} names a cluster that is not in it`);
  const user = config.getCurrentUser();
  if (user === null) throw failed("kubernetes/config", `the context "${context}" of ${source} names a user that is not in it`);
  const program = programOf(user);
  if (spec.kubeconfig !== undefined && program !== undefined) {
    const why =
      "that is allowed only in the agent's own kubeconfig (KUBECONFIG or ~/.kube/config of the agent), not in one that a job names";
    throw failed(
      "kubernetes/config",
      `the user "${user.name}" of ${source} has its credentials from a program (${program}); ${why}. Use a token or a client certificate there`,
    );
  }
  const api = createApi({ clock: deps.clock, client, config, requestMs: deps.requestMs });
  const namespace = config.getContextObject(context)?.namespace;
  return {
    api,
    namespace: namespace === undefined || namespace === "" ? "default" : namespace,
    applyPatch: client.PatchStrategy.ServerSideApply,
    mergePatch: client.PatchStrategy.StrategicMergePatch,
  };
}

/** Returns where it came from, for messages. */
function load(
  config: KubeConfig,
  another: () => KubeConfig,
  deps: { environment: ClusterEnvironment; serviceAccount?: string | undefined },
  named: string | undefined,
): string {
  const { KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = deps.environment;
  if (named !== undefined) return loadFile(config, named, "run.kubernetes.kubeconfig");
  const files = (KUBECONFIG ?? "").split(":").filter((file) => file !== "");
  const [first, ...others] = files;
  if (first !== undefined) {
    loadFile(config, first, "KUBECONFIG of the agent");
    for (const file of others) {
      const more = another();
      loadFile(more, file, "KUBECONFIG of the agent");
      config.mergeConfig(more, true);
    }
    return files.join(":");
  }
  const usual = HOME === undefined || HOME === "" ? undefined : `${HOME}/.kube/config`;
  if (usual !== undefined && isThere(usual)) return loadFile(config, usual, "the agent's home");
  if (host === undefined || host === "") {
    const looked = `run.kubernetes.kubeconfig and KUBECONFIG are not set, ${usual ?? "~/.kube/config"} is not there`;
    throw failed("kubernetes/config", `the agent has no way to a cluster: ${looked}, and it does not run in a pod of one`);
  }
  const folder = deps.serviceAccount ?? SERVICE_ACCOUNT;
  if (!isThere(`${folder}/token`))
    throw failed("kubernetes/config", `the agent runs in a pod without a service account: ${folder}/token is not there`);
  const address = host.includes(":") ? `[${host}]` : host;
  config.loadFromOptions({
    clusters: [{ name: "inCluster", server: `https://${address}:${port}`, caFile: `${folder}/ca.crt`, skipTLSVerify: false }],
    users: [{ name: "serviceAccount", authProvider: { name: "tokenFile", config: { tokenFile: `${folder}/token` } } }],
    contexts: [{ name: "inCluster", cluster: "inCluster", user: "serviceAccount", namespace: textOf(`${folder}/namespace`) }],
    currentContext: "inCluster",
  });
  return "the service account of the agent's pod";
}

function loadFile(config: KubeConfig, file: string, whence: string): string {
  try {
    config.loadFromFile(file);
    return file;
  } catch (thrown) {
    // YAML errors quote the lines around them, which may hold a token.
    const words = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n", 1)[0];
    throw failed("kubernetes/config", `the kubeconfig ${file} (from ${whence}) cannot be read: ${words}`);
  }
}

function programOf(user: User): string | undefined {
  const provider = user.authProvider;
  const command: unknown = user.exec?.command ?? provider?.config?.exec?.command ?? provider?.config?.["cmd-path"];
  if (command !== undefined && command !== null) return String(command);
  return user.exec === undefined || user.exec === null ? undefined : "exec";
}

function isThere(file: string): boolean {
  return textOf(file) !== undefined;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}
