/** `pipelines:` of a job file: pipelines keyed by group/id, beside `jobs:`. */
import type { Issue } from "../../base/errors.ts";
import type { PathPart, YamlDocument } from "../../base/yaml-source.ts";
import { checkShape, found, toIssue } from "../../base/zod-issues.ts";
import { checkIdentity } from "../job-check.ts";
import { checkPipeline } from "./pipeline-check.ts";
import { pipelineSchema } from "./pipeline-schema.ts";
import type { PipelineSpec } from "./pipeline-spec.ts";

/** A pipeline as a file holds it, with its place. */
export type ParsedPipeline = {
  readonly group: string;
  readonly id: string;
  readonly spec: PipelineSpec;
  readonly file: string;
  readonly line: number;
  lineOf(path: readonly PathPart[]): number;
};

/** Reads the `pipelines` of one document, `value`, into `pipelines`, shape and meaning checked; what is wrong goes to `issues`. */
export function readPipelines(
  source: { readonly file: string; readonly document: YamlDocument; readonly defaultGroup: string },
  value: unknown,
  pipelines: Map<string, ParsedPipeline>,
  issues: Issue[],
): void {
  const { file, document, defaultGroup } = source;
  const root = ["pipelines"];
  const report = (path: readonly PathPart[], issue: Parameters<typeof toIssue>[0]) =>
    issues.push(toIssue(issue, path, { file, line: document.lineOf([...path, ...issue.path]) }));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = `${found(value)}; a mapping from group/id to pipelines is expected`;
    report(root, { path: [], message, hint: "`pipelines: {}` for none" });
    return;
  }
  const lines = document.linesOf(root);
  for (const [key, body] of Object.entries(value)) {
    const at = [...root, key];
    const [group = "", id = "", ...more] = key.includes("/") ? key.split("/") : [defaultGroup, key];
    const wrong =
      more.length > 0
        ? [{ path: [], message: "the key of a pipeline has one slash, as in group/id" }]
        : checkIdentity(group, id, "pipeline");
    const shape = checkShape<PipelineSpec>(pipelineSchema, body);
    const all = [...wrong, ...(shape.issues ?? checkPipeline(group, id, shape.value))];
    for (const issue of all) report(at, issue);
    if (shape.issues !== undefined || all.length > 0) continue;
    const name = `${group}/${id}`;
    const other = pipelines.get(name);
    if (other !== undefined)
      report(at, { path: [], message: `the pipeline ${name} is also in ${other.file}:${other.line}`, hint: "keep one of them" });
    else
      pipelines.set(name, {
        group,
        id,
        spec: shape.value,
        file,
        line: lines.get(key) ?? 1,
        lineOf: (path) => document.lineOf([...at, ...path]),
      });
  }
}
