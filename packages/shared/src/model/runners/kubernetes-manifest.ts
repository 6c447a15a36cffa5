/**
 * The text of a Kubernetes manifest as one plain object, with the line of each of its fields. Read as kubectl reads it, which is YAML 1.1 for
 * numbers and truth values: `0600` is octal, `yes` is true. Dates stay text. Pure.
 */
import { isMap, isScalar, LineCounter, parseAllDocuments, type ScalarTag, type Tags } from "yaml";
import type { PathPart } from "../../base/yaml-source.ts";
import { syntaxWords } from "../../base/yaml-words.ts";

export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: unknown; readonly namespace?: unknown; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
};

export type ManifestIssue = { readonly line: number; readonly message: string; readonly hint?: string };

export type ReadManifest =
  | { readonly manifest: Manifest; lineOf(path: readonly PathPart[]): number }
  | { readonly issues: ManifestIssue[] };

/** What kubectl does not know of YAML 1.1: numbers to the base of 60 and dates. */
const NOT_OF_KUBECTL = new Set(["tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary"]);
const OCTAL: ScalarTag = {
  identify: () => false,
  default: true,
  tag: "tag:yaml.org,2002:int",
  format: "OCT",
  test: /^[-+]?0o[0-7]+$/,
  resolve: (text) => Number(text.replace(/^\+/, "")),
};

/** One document with one object of apiVersion, kind and metadata, or everything that is wrong with it. */
export function readManifest(text: string): ReadManifest {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    schema: "yaml-1.1",
    version: "1.1",
    customTags: (tags: Tags): Tags => [OCTAL, ...tags.filter((tag) => !isForeign(tag))],
  });
  const lineAt = (offset: number | undefined): number => (offset === undefined ? 1 : lines.linePos(offset).line);
  const syntax = [...documents].flatMap(({ errors, warnings }) => [...errors, ...warnings]);
  if (syntax.length > 0) return { issues: syntax.slice(0, 10).map((error) => ({ line: lineAt(error.pos[0]), ...syntaxWords(error) })) };
  const filled = [...documents].filter(({ contents }) => contents !== null && !(isScalar(contents) && contents.value === null));
  const [document, second] = filled;
  if (document === undefined) return { issues: [{ line: 1, message: "the manifest is empty; the YAML of one object is expected" }] };
  if (second !== undefined) {
    const message = `the manifest has ${filled.length} documents; exactly one object is created or applied by a job`;
    return { issues: [{ line: lineAt(second.contents?.range?.[0]), message, hint: "make a job of each, and a pipeline of the jobs" }] };
  }
  const lineOf = (path: readonly PathPart[]): number => {
    for (let length = path.length; length > 0; length--) {
      const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
      const key = path[length - 1];
      const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
      const node = pair?.key ?? document.getIn(path.slice(0, length), true);
      const range = (node as { range?: readonly number[] | null } | undefined)?.range;
      if (range?.[0] !== undefined) return lineAt(range[0]);
    }
    return lineAt(document.contents?.range?.[0]);
  };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (thrown) {
    return { issues: [{ line: 1, message: `its anchors and aliases cannot be resolved: ${(thrown as Error).message}` }] };
  }
  const issues = wrongObject(value, lineOf);
  return issues.length > 0 ? { issues } : { manifest: value as Manifest, lineOf };
}

/** The text of the issues of a manifest on one line, for an outcome. */
export function manifestWords(issues: readonly ManifestIssue[]): string {
  return issues.map(({ line, message, hint }) => `line ${line}: ${message}${hint === undefined ? "" : ` (${hint})`}`).join("; ");
}

function wrongObject(value: unknown, lineOf: (path: readonly PathPart[]) => number): ManifestIssue[] {
  if (!isRecord(value))
    return [{ line: lineOf([]), message: "the manifest is not an object; apiVersion, kind, metadata and spec are expected" }];
  const issues: ManifestIssue[] = [];
  if (value.kind === "List" || Array.isArray(value.items)) {
    return [{ line: lineOf(["items"]), message: "the manifest is a list; exactly one object is expected", hint: "make a job of each" }];
  }
  for (const field of ["apiVersion", "kind"])
    if (typeof value[field] !== "string" || value[field] === "") issues.push({ line: lineOf([field]), message: `${field} is missing` });
  if (value.metadata === undefined) value.metadata = {};
  if (!isRecord(value.metadata)) issues.push({ line: lineOf(["metadata"]), message: "metadata is not a mapping" });
  else
    for (const field of ["name", "namespace"]) {
      const text = value.metadata[field];
      if (text !== undefined && typeof text !== "string")
        issues.push({ line: lineOf(["metadata", field]), message: `metadata.${field} is not text`, hint: "put it in quotes" });
    }
  return issues;
}

function isForeign(tag: Tags[number]): boolean {
  if (typeof tag === "string") return false;
  return NOT_OF_KUBECTL.has(tag.tag) || ("format" in tag && tag.format === "TIME");
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
