/**
 * What the params of a task are worth: five levels, from low to high: what the job declares, what the pipeline declares (both defaults), what the task sets,
 * what the run was given, what earlier tasks have put out. An empty value never replaces another; a read-only value is never replaced. Below them all is the
 * system: the globals, which are no params, but which `${name}` finds where nothing else has that name. Pure.
 */

import type { Issue } from "../../base/errors.ts";
import { suggest } from "../../base/suggest.ts";
import type { JobSpec, RunSpec } from "../job-spec.ts";
import type { ParamSpec } from "./pipeline-spec.ts";

export type ParamLevel = "job" | "pipeline" | "task" | "run" | "output";
export type Values = Readonly<Record<string, string>>;

/** A param with the value that won, and where that came from. */
export type ResolvedParam = {
  readonly name: string;
  readonly value: string;
  readonly level: ParamLevel;
  readonly type: NonNullable<ParamSpec["type"]>;
  readonly usage: NonNullable<ParamSpec["usage"]>;
};
export type Resolved = { readonly params: readonly ResolvedParam[]; readonly issues: readonly Issue[] };

/** Where the values come from. `pipeline` holds only what this task sees. */
export type ParamSources = {
  readonly job: readonly ParamSpec[];
  readonly pipeline: readonly ParamSpec[];
  readonly task: Values;
  readonly run: Values;
  readonly outputs: Values;
  /** Default: none. */
  readonly globals?: Values | undefined;
};

const NONE: Values = {};
const SECRET_NAME = /^([a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}$/;
const PLACEHOLDER = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** What is wrong with a value of `param`, in words; undefined when nothing is. */
export function wrongValue(param: Pick<ParamSpec, "type" | "options">, value: string): string | undefined {
  if (param.type === "boolean" && value !== "true" && value !== "false") return 'true or false is expected, in quotes: "true"';
  if (param.type === "enum" && !(param.options ?? []).includes(value)) return `allowed: ${(param.options ?? []).join(", ")}`;
  if (param.type === "secret" && !SECRET_NAME.test(value)) return "the name of a stored secret is expected, never its value";
  return undefined;
}

/** The values given to a run, checked against what the pipeline declares: undeclared, read-only and wrong ones are issues, missing required ones too. */
export function checkRunValues(declared: readonly ParamSpec[], given: Values): Issue[] {
  const issues = Object.keys(given).flatMap((name) =>
    declared.some((param) => param.name === name) ? [] : [undeclared(name, declared, "the pipeline does not declare it")],
  );
  return [...issues, ...resolve({ job: [], pipeline: declared, task: NONE, run: given, outputs: NONE }).issues];
}

/** The params of a task. Issues: undeclared names, read-only ones that are set, wrong and missing values, `${name}` that names nothing. */
export function resolve(sources: ParamSources): Resolved {
  const issues: Issue[] = [];
  const refuse = (name: string, message: string) => issues.push({ path: `params.${name}`, message });
  const declared = new Map<string, ParamSpec>();
  const required = new Set<string>();
  const held = new Map<string, { value: string; level: ParamLevel; locked: boolean }>();

  function set(param: ParamSpec, level: ParamLevel, value: string, locks: boolean): void {
    const before = held.get(param.name);
    if (value === "" || before?.value === value) {
      if (before !== undefined && locks) held.set(param.name, { ...before, locked: true });
      return;
    }
    if (before?.locked === true) {
      // An output that happens to have the name of a fixed param is no mistake of anybody.
      if (level !== "output") refuse(param.name, `is read-only with the value "${before.value}"; the ${level} may not set it`);
      return;
    }
    const wrong = wrongValue(param, value);
    // What stands where the name of a secret belongs may be the secret itself: it is not repeated.
    const shown = param.type === "secret" ? "" : `found "${value}" `;
    if (wrong !== undefined) return void refuse(param.name, `${shown}from the ${level}; ${wrong}`);
    held.set(param.name, { value, level, locked: locks });
  }

  for (const [level, params] of [
    ["job", sources.job],
    ["pipeline", sources.pipeline],
  ] as const) {
    for (const param of params) {
      const known = declared.get(param.name) ?? param;
      declared.set(param.name, known);
      if (param.required === true) required.add(param.name);
      set(known, level, param.value ?? "", param.readOnly === true || known.readOnly === true);
    }
  }
  const lookup = namesFor(sources);
  for (const [name, text] of Object.entries(sources.task)) {
    const param = declared.get(name);
    if (param === undefined) {
      issues.push(undeclared(name, [...declared.values()], "neither the job nor the pipeline declares it"));
      continue;
    }
    const { text: value, missing } = render(text, lookup);
    for (const one of missing) refuse(name, `\${${one}} names no param of the pipeline, no output of an earlier task and no global`);
    if (missing.length === 0) set(param, "task", value, param.readOnly === true);
  }
  for (const { name } of sources.pipeline) {
    const value = sources.run[name];
    const param = declared.get(name);
    if (value !== undefined && param !== undefined) set(param, "run", value, param.readOnly === true);
  }
  for (const [name, value] of Object.entries(sources.outputs)) {
    const param = declared.get(name) ?? { name };
    if (param.type === "secret") continue;
    declared.set(name, param);
    set(param, "output", value, false);
  }
  for (const name of required) if (!held.has(name)) refuse(name, "is required and has no value");
  const params = [...declared.values()].map((param): ResolvedParam => {
    const { value, level } = held.get(param.name) ?? { value: "", level: "job" as const };
    return { name: param.name, value, level, type: param.type ?? "text", usage: param.usage ?? "env" };
  });
  return { params, issues };
}

/** What `${name}` in a task's params and `when` can name, from low to high: globals, the pipeline's params as the run has them, outputs. */
export function namesFor(sources: Pick<ParamSources, "pipeline" | "run" | "outputs" | "globals">): Values {
  const names: Record<string, string> = { ...sources.globals };
  for (const { name, value = "", type } of sources.pipeline) {
    const given = sources.run[name] ?? "";
    const own = given === "" ? value : given;
    // A global is no name of a secret.
    if (own !== "" || type === "secret" || names[name] === undefined) names[name] = own;
  }
  for (const [name, value] of Object.entries(sources.outputs)) {
    const param = sources.pipeline.find((one) => one.name === name);
    if (value !== "" && !(param?.type === "secret" || (param?.readOnly === true && names[name] !== ""))) names[name] = value;
  }
  return names;
}

/**
 * The job with its params worked in: variables, secrets, and `${name}` of template params replaced. A script is left alone: its shell expands
 * the variables itself, so no value ever becomes code.
 */
export function renderJob(spec: JobSpec, params: readonly ResolvedParam[]): JobSpec {
  const { params: _, ...rest } = spec;
  const plain = params.filter(({ type }) => type !== "secret");
  const named = params.filter(({ type, value }) => type === "secret" && value !== "");
  const secrets = { ...spec.secrets, ...Object.fromEntries(named.map(({ name, value }) => [name, { secret: value }])) };
  const templates = Object.fromEntries(plain.filter(({ usage }) => usage === "template").map(({ name, value }) => [name, value]));
  const env = {
    ...(renderDeep(spec.env ?? {}, templates) as Values),
    ...Object.fromEntries(plain.map(({ name, value }) => [name, value])),
  };
  return {
    ...rest,
    run: renderRun(spec.run, templates),
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
  };
}

/** A call's address and a manifest are filled in on the node, by their runner, which knows where a value stands and keeps it from becoming more than a value. */
function renderRun(run: RunSpec, templates: Values): RunSpec {
  return run.http === undefined && run.kubernetes === undefined ? (renderDeep(run, templates) as RunSpec) : run;
}

/** The job as its own rules run it: with the values that its params declare. */
export function renderDefaults(spec: JobSpec, params: readonly ParamSpec[]): JobSpec {
  return renderJob(spec, resolve({ job: params, pipeline: [], task: NONE, run: NONE, outputs: NONE }).params);
}

function renderDeep(value: unknown, names: Values): unknown {
  if (typeof value === "string") return render(value, names).text;
  if (Array.isArray(value)) return value.map((item) => renderDeep(item, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === "script" ? item : renderDeep(item, names)]));
}

/** Every name that stands as `${name}` in the text. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name = ""]) => name);
}

/** Replaces each `${name}` that `names` has; `missing` are the others, left as they stand. */
export function render(text: string, names: Values): { readonly text: string; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const done = text.replace(PLACEHOLDER, (whole, name: string) => {
    if (Object.hasOwn(names, name)) return names[name] ?? "";
    missing.push(name);
    return whole;
  });
  return { text: done, missing };
}

function undeclared(name: string, declared: readonly ParamSpec[], message: string): Issue {
  const names = declared.map((param) => param.name);
  const near = suggest(name, names);
  const hint =
    near !== undefined ? `did you mean "${near}"?` : names.length === 0 ? "it declares no params" : `declared: ${names.join(", ")}`;
  return { path: `params.${name}`, message, hint };
}
