/** What a job of the runners ssh, http and kubernetes breaks of this host's policy: where it reaches, and which of the host's files it takes for that. Pure. */
import type { Job } from "fleetcron-shared/model/job";
import { readManifest } from "fleetcron-shared/model/runners/kubernetes-manifest";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import type { SshSpec } from "fleetcron-shared/model/runners/ssh-spec";
import { parseSshTarget } from "fleetcron-shared/model/runners/ssh-target";
import { fillTemplate, parseTemplate } from "fleetcron-shared/model/runners/template";
import type { Policy, PolicyField } from "./policy-file.ts";
import { matchesText } from "./program-path.ts";

type Refuse = (field: PolicyField, why: string) => void;
type Env = Readonly<Record<string, string>>;

/** `env`: of the job and of the order. The addresses of http jobs are judged when they are called (runners/http/connection.ts), since names decide then. */
export function checkReach(policy: Policy, { ssh, kubernetes }: Job["run"], env: Env, refuse: Refuse): void {
  if (ssh !== undefined) checkSshHosts(policy, ssh, refuse);
  if (kubernetes !== undefined) checkNamespaces(policy, kubernetes, env, refuse);
}

/** Files of the host that give the job somebody's identity, with their place in the job. */
export function identityFiles({ ssh, http, kubernetes }: Job["run"]): { place: string; file: string }[] {
  const files = [
    { place: "run.ssh.auth.key", file: ssh?.auth?.key },
    { place: "run.http.tls.key", file: http?.tls?.key },
    { place: "run.http.tls.cert", file: http?.tls?.cert },
    { place: "run.kubernetes.kubeconfig", file: kubernetes?.kubeconfig },
  ];
  return files.flatMap(({ place, file }) => (file === undefined ? [] : [{ place, file }]));
}

/** Hosts as the job writes them; what an alias of the agent's ssh config stands for is for the owner of that file. */
function checkSshHosts({ sshHosts }: Policy, { hosts }: SshSpec, refuse: Refuse): void {
  if (sshHosts === undefined) return;
  for (const text of hosts) {
    const target = parseSshTarget(text);
    const host = "host" in target ? target.host.toLowerCase() : undefined;
    if (host === undefined || !sshHosts.some((one) => matchesText(one.toLowerCase(), host)))
      refuse("sshHosts", `jobs may not reach "${host ?? text}" by ssh from this host`);
  }
}

/** Both the field and the manifest count; a job that names none takes the kubeconfig's, which cannot be told here. */
function checkNamespaces({ namespaces }: Policy, spec: KubernetesSpec, env: Env, refuse: Refuse): void {
  if (namespaces === undefined) return;
  const named = [spec.namespace, ...namespacesOf(spec.manifest)].filter((one) => one !== undefined);
  if (named.length === 0)
    return refuse(
      "namespaces",
      "the job names no Kubernetes namespace; only listed ones may be used from this host, so give run.kubernetes.namespace",
    );
  for (const text of named) {
    const namespace = filled(text, env);
    if (namespace === undefined) refuse("namespaces", `which Kubernetes namespace "${text}" stands for cannot be told before the job runs`);
    else if (!namespaces.some((one) => matchesText(one, namespace)))
      refuse("namespaces", `jobs may not use the Kubernetes namespace "${namespace}" from this host`);
  }
}

function namespacesOf(manifest: string | undefined): (string | undefined)[] {
  if (manifest === undefined) return [];
  const read = readManifest(manifest);
  if ("issues" in read) return [];
  const { namespace } = read.manifest.metadata;
  return typeof namespace === "string" && namespace !== "" ? [namespace] : [];
}

/** With its variables put in; undefined when one is not known yet, as secrets and those of the execution are. */
function filled(text: string, env: Env): string | undefined {
  const parsed = parseTemplate(text);
  if (!("parts" in parsed)) return undefined;
  const unknown = parsed.parts.some((part) => "name" in part && !Object.hasOwn(env, part.name));
  return unknown ? undefined : fillTemplate(parsed.parts, (name) => env[name] ?? "");
}
