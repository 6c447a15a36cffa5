/**
 * Job files: `jobs:` and `pipelines:` keyed by group/id and `channels:` by name, any number of each, YAML or JSON, several documents if need be. Reports everything that is wrong,
 * with file, line and path, and gives no job out unless all are right.
 */

import type { EpochMs } from "../base/clock.ts";
import { AppError, type Issue } from "../base/errors.ts";
import { suggest } from "../base/suggest.ts";
import { type PathPart, readYaml, type YamlDocument } from "../base/yaml-source.ts";
import { checkShape, found, toIssue } from "../base/zod-issues.ts";
import { type ParsedChannel, readChannels } from "./channel-file.ts";
import { checkIdentity, checkMeaning } from "./job-check.ts";
import { jobSchema } from "./job-schema.ts";
import type { JobSpec } from "./job-spec.ts";
import { type ParsedPipeline, readPipelines } from "./pipeline/pipeline-file.ts";

/** The group of a job whose key has no slash. */
export const DEFAULT_GROUP = "default";
/** What may stand at the top of a file: `$schema` is for editors. */
export const FILE_FIELDS = ["jobs", "pipelines", "channels", "$schema"] as const;

/** A job as a file holds it, with its place. */
export type ParsedJob = {
  readonly group: string;
  readonly id: string;
  readonly spec: JobSpec;
  readonly file: string;
  /** Where the job begins, 1-based. */
  readonly line: number;
  /** Where a field of the spec stands: `lineOf(["rules", 0, "timer"])`. */
  lineOf(path: readonly PathPart[]): number;
};

export type JobFile = { readonly name: string; readonly text: string | Uint8Array };

/** A further check of each job that is well-shaped; its issues are thrown with all others. */
export type JobCheck = (job: ParsedJob) => readonly Issue[];

/** The jobs of one file; throws `input/invalid` with every issue, or `input/too-large`, `input/unreadable`. Checks shapes, and what `check` checks. */
export function parseJobFile(text: string | Uint8Array, file: string, check?: JobCheck): ParsedJob[] {
  return parseJobFiles([{ name: file, text }], check);
}

/** The jobs of several files together. */
export function parseJobFiles(files: readonly JobFile[], check?: JobCheck): ParsedJob[] {
  return parseFiles(files, check).jobs;
}

/** All that files hold. */
export type FileContents = { readonly jobs: ParsedJob[]; readonly pipelines: ParsedPipeline[]; readonly channels: ParsedChannel[] };

/** Everything in several files together: no id may be used twice. Throws like `parseJobFile`, with the issues of all files. */
export function parseFiles(files: readonly JobFile[], check: JobCheck = () => []): FileContents {
  const issues: Issue[] = [];
  const refused: AppError[] = [];
  const contents: Found = { jobs: new Map(), pipelines: new Map(), channels: new Map() };
  for (const file of files) {
    try {
      readFile(file, check, contents, issues);
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      refused.push(thrown);
      issues.push(...thrown.issues);
    }
  }
  const { jobs, pipelines, channels } = contents;
  if (issues.length === 0) return { jobs: [...jobs.values()], pipelines: [...pipelines.values()], channels: [...channels.values()] };
  const [first] = refused;
  if (first !== undefined && files.length === 1) throw first;
  const where = files.length === 1 ? (files[0]?.name ?? "") : `${files.length} files`;
  throw new AppError("input/invalid", `${where}: ${issues.length === 1 ? "1 thing is" : `${issues.length} things are`} wrong`, { issues });
}

/** The check of a job's meaning (job-check.ts) as a `JobCheck`, with lines. */
export function meaningAt(nowMs: EpochMs): JobCheck {
  return (job) =>
    checkMeaning(job.group, job.id, job.spec, nowMs).map((issue) =>
      toIssue(issue, ["jobs", `${job.group}/${job.id}`], { file: job.file, line: job.lineOf(issue.path) }),
    );
}

type Found = {
  readonly jobs: Map<string, ParsedJob>;
  readonly pipelines: Map<string, ParsedPipeline>;
  readonly channels: Map<string, ParsedChannel>;
};

function readFile(file: JobFile, check: JobCheck, into: Found, issues: Issue[]): void {
  const { documents, issues: syntax } = readYaml(file.text, file.name);
  issues.push(...syntax);
  if (syntax.length > 0) return;
  if (documents.length === 0)
    issues.push({ file: file.name, line: 1, message: "the file is empty", hint: "a job file begins with `jobs:`" });
  for (const document of documents) readDocument(file.name, document, check, into, issues);
}

function readDocument(file: string, document: YamlDocument, check: JobCheck, into: Found, issues: Issue[]): void {
  const report = (path: readonly PathPart[], message: string, hint?: string) =>
    issues.push({
      ...toIssue({ path: [], message }, path, { file, line: document.lineOf(path) }),
      ...(hint === undefined ? {} : { hint }),
    });
  const top = document.value;
  if (!isMapping(top)) return void report([], `${found(top)}; a job file is a mapping`, "it begins with `jobs:`");
  for (const name of Object.keys(top).filter((name) => !FILE_FIELDS.some((field) => field === name))) {
    const allowed = FILE_FIELDS.filter((field) => field !== "$schema");
    const near = suggest(name, allowed);
    report(
      [name],
      "there is no such field at the top of a file",
      near === undefined ? `allowed: ${allowed.join(", ")}` : `did you mean "${near}"?`,
    );
  }
  if (Object.hasOwn(top, "channels")) readChannels(file, document, top.channels, into.channels, issues);
  if (Object.hasOwn(top, "pipelines"))
    readPipelines({ file, document, defaultGroup: DEFAULT_GROUP }, top.pipelines, into.pipelines, issues);
  if (!Object.hasOwn(top, "jobs")) {
    if (Object.keys(top).every((name) => name === "$schema")) report([], "the file holds no `jobs:`, `pipelines:` or `channels:`");
    return;
  }
  if (!isMapping(top.jobs))
    return void report(["jobs"], `${found(top.jobs)}; a mapping from group/id to jobs is expected`, "`jobs: {}` for none");
  const lines = document.linesOf(["jobs"]);
  for (const [key, value] of Object.entries(top.jobs)) {
    const job = readJob(file, document, key, value, lines.get(key) ?? 1, issues);
    if (job === undefined) continue;
    const name = `${job.group}/${job.id}`;
    const other = into.jobs.get(name);
    if (other === undefined) into.jobs.set(name, job);
    else report(["jobs", key], `the job ${name} is also in ${other.file}:${other.line}`, "keep one of them");
    issues.push(...check(job));
  }
}

function readJob(file: string, document: YamlDocument, key: string, value: unknown, line: number, issues: Issue[]): ParsedJob | undefined {
  const before = issues.length;
  const [group, id, ...more] = key.includes("/") ? key.split("/") : [DEFAULT_GROUP, key];
  const at = ["jobs", key];
  if (group === undefined || id === undefined || more.length > 0) {
    issues.push({ file, line, path: `jobs.${key}`, message: "the key of a job has one slash, as in group/id" });
  } else issues.push(...checkIdentity(group, id).map((issue) => toIssue(issue, at, { file, line })));
  const shape = checkShape<JobSpec>(jobSchema, value);
  for (const issue of shape.issues ?? []) issues.push(toIssue(issue, at, { file, line: document.lineOf([...at, ...issue.path]) }));
  if (shape.issues !== undefined || group === undefined || id === undefined || issues.length > before) return undefined;
  return { group, id, spec: shape.value, file, line, lineOf: (path) => document.lineOf([...at, ...path]) };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
