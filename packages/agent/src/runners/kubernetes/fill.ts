/**
 * `${NAME}` in the texts of a manifest. The manifest is parsed first and its texts are filled afterwards, so a value can never become structure: it stays the
 * text that it is, whatever is in it. Pure.
 */

import { wrongManifest } from "fleetcron-shared/model/runners/kubernetes-check";
import { isRecord, type Manifest, manifestWords, readManifest } from "fleetcron-shared/model/runners/kubernetes-manifest";
import type { KubernetesSpec } from "fleetcron-shared/model/runners/kubernetes-spec";
import { fillTemplate, parseTemplate } from "fleetcron-shared/model/runners/template";
import { failed } from "./failed.ts";

export type Variables = {
  readonly env: Readonly<Record<string, string>>;
  /** Only their names are looked at. */
  readonly secrets: Readonly<Record<string, string>>;
};

type Path = readonly (string | number)[];

/** The manifest with its variables put in; throws `runner/spec`. */
export function filledManifest(text: string, spec: Pick<KubernetesSpec, "wait" | "namespace">, variables: Variables): Manifest {
  const read = readManifest(text);
  if ("issues" in read) throw failed("runner/spec", `run.kubernetes.manifest: ${manifestWords(read.issues)}`);
  const at = (path: Path, message: string) => failed("runner/spec", `run.kubernetes.manifest, line ${read.lineOf(path)}: ${message}`);
  const filled = fillDeep(read.manifest, [], variables, at) as Manifest;
  const wrong = wrongManifest(filled, spec)[0];
  if (wrong !== undefined) throw at(wrong.path, wrong.hint === undefined ? wrong.message : `${wrong.message} (${wrong.hint})`);
  return filled;
}

/** One text of the job's fields; `field` names it in the error. */
export function filledText(text: string, field: string, variables: Variables): string {
  return fill(
    text,
    variables,
    (message) => failed("runner/spec", `run.kubernetes.${field}: ${message}`),
    (value) => value,
  );
}

function fillDeep(value: unknown, path: Path, variables: Variables, at: (path: Path, message: string) => Error): unknown {
  if (typeof value === "string") return fill(value, variables, (message) => at(path, message), isExpanded(path) ? literal : (text) => text);
  if (Array.isArray(value)) return value.map((item, index) => fillDeep(item, [...path, index], variables, at));
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([name, item]) => {
    if (name.includes("${")) throw at([...path, name], `the field name "${name}" has a variable in it; only values are replaced`);
    return [name, fillDeep(item, [...path, name], variables, at)] as const;
  });
  return Object.fromEntries(entries);
}

function fill(text: string, variables: Variables, wrong: (message: string) => Error, fit: (value: string) => string): string {
  if (!text.includes("${")) return text;
  const template = parseTemplate(text);
  if ("problem" in template) throw wrong(`${template.problem}; write $\${ for a plain \${, for example where a shell shall expand it`);
  return fillTemplate(template.parts, (name) => {
    const value = Object.hasOwn(variables.env, name) ? variables.env[name] : undefined;
    if (value !== undefined) return fit(value);
    if (Object.hasOwn(variables.secrets, name)) {
      const instead = `every container has it as the variable ${name}; use $(${name}) in command and args, or $\${${name}} for a shell`;
      throw wrong(`\${${name}} is a secret, and manifests can be read by everybody who may look at the cluster; ${instead}`);
    }
    throw wrong(
      `\${${name}} is no variable of this execution; declare it in env or params of the job, or write $\${${name}} for a plain \${${name}}`,
    );
  });
}

/** The kubelet expands `$(NAME)` in these texts; a value that has one shall arrive as it is. */
function isExpanded(path: Path): boolean {
  const container = path.findIndex((part) => part === "containers" || part === "initContainers");
  if (container < 0) return false;
  const [, field, , last] = path.slice(container + 1);
  return (
    field === "command" || field === "args" || (field === "env" && last === "value") || (field === "volumeMounts" && last === "subPathExpr")
  );
}

/** A text that the kubelet's expansion of `$(NAME)` leaves as `value`. */
export function literal(value: string): string {
  return value.replaceAll("$", "$$$$");
}
