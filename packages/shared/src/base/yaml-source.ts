/**
 * YAML (and JSON, which is a part of it) as plain values with line numbers. Owns everything that can be wrong before the meaning of a file is
 * looked at: size, encoding, syntax, duplicate keys, anchors that multiply. Values are plain objects, lists, text, numbers, booleans and null.
 */
import { isUtf8 } from "node:buffer";
import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Pair, parseAllDocuments, type YAMLMap } from "yaml";
import { AppError, type Issue } from "./errors.ts";
import { syntaxWords } from "./yaml-words.ts";

/** Larger files are refused unread. */
export const MAX_FILE_BYTES = 8 * 2 ** 20;
/** How many values aliases (`*name`) may add to one file in all. */
const MAX_ALIASED_VALUES = 500_000;
const MAX_DEPTH = 100;
const MAX_SYNTAX_ISSUES = 20;

/** A step into a value: a field name or a list index. */
export type PathPart = string | number;

export type YamlDocument = {
  readonly value: unknown;
  /** The 1-based line of what `path` leads to, or of the nearest thing above it that is written in the file. */
  lineOf(path: readonly PathPart[]): number;
  /** The lines of all fields of the mapping that `path` leads to: for large mappings. */
  linesOf(path: readonly PathPart[]): ReadonlyMap<string, number>;
};

/** `["jobs", "db/backup", "rules", 0]` as `jobs.db/backup.rules[0]`. */
export function formatPath(path: readonly PathPart[]): string {
  return path.map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`)).join("");
}

/** Bytes as text without a byte order mark; throws `input/too-large` or `input/unreadable` (with the line of the first wrong byte). */
export function decodeText(input: string | Uint8Array, file: string): string {
  const bytes = typeof input === "string" ? Buffer.byteLength(input) : input.byteLength;
  if (bytes > MAX_FILE_BYTES) {
    const message = `${file} has ${(bytes / 2 ** 20).toFixed(1)} MiB; at most ${MAX_FILE_BYTES / 2 ** 20} MiB are read`;
    throw new AppError("input/too-large", message, { issues: [{ file, message }], hint: "split it into several files" });
  }
  if (typeof input === "string") return input.replace(/^\uFEFF/, "");
  if (!isUtf8(input)) {
    const line = firstBadLine(input);
    const hint = "save it as UTF-8, for example with `iconv -f latin1 -t utf-8`";
    throw new AppError("input/unreadable", `${file}:${line}: the file is not text in UTF-8`, {
      issues: [{ file, line, message: "this line has bytes that are not UTF-8", hint }],
      hint,
    });
  }
  return new TextDecoder().decode(input);
}

/** The documents of a file, those without content left out, and everything that is wrong with its syntax; throws like `decodeText`. */
export function readYaml(input: string | Uint8Array, file: string): { documents: readonly YamlDocument[]; issues: readonly Issue[] } {
  const text = decodeText(input, file);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    stringKeys: true,
    version: "1.2",
  });
  const syntax = [...documents].flatMap((document) => [...document.errors, ...document.warnings]);
  if (syntax.length > 0) {
    const all = syntax.map((error) => ({ file, line: lines.linePos(error.pos[0]).line, ...syntaxWords(error) }));
    const once = all.filter((issue, i) => all.findIndex((other) => other.line === issue.line && other.message === issue.message) === i);
    return { documents: [], issues: once.slice(0, MAX_SYNTAX_ISSUES) };
  }
  const budget = { left: MAX_ALIASED_VALUES };
  const readers = [...documents].map((document) => new Reader(document, lines, file, budget));
  return { documents: readers.filter((reader) => reader.value !== null), issues: readers.flatMap((reader) => reader.issues) };
}

/** Reads one parsed document once, and answers where its values are. */
class Reader implements YamlDocument {
  readonly value: unknown;
  readonly issues: Issue[] = [];
  readonly #root: unknown;
  readonly #lines: LineCounter;
  readonly #file: string;
  readonly #budget: { left: number };
  readonly #anchors = new Map<string, { node: unknown; value?: unknown; size?: number }>();
  readonly #targets = new Map<Alias, unknown>();
  readonly #byKey = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  #count = 0;

  constructor(document: Document.Parsed, lines: LineCounter, file: string, budget: { left: number }) {
    this.#root = document.contents;
    this.#lines = lines;
    this.#file = file;
    this.#budget = budget;
    this.value = this.#read(this.#root, 0);
  }

  lineOf(path: readonly PathPart[]): number {
    return this.#find(path).line;
  }

  linesOf(path: readonly PathPart[]): ReadonlyMap<string, number> {
    const { node, line } = this.#find(path);
    return new Map(isMap(node) ? node.items.map((pair) => [keyText(pair), this.#lineOfNode(pair.key) ?? line]) : []);
  }

  /** Follows `path` as far as it is written; `node` is undefined when that is not to its end. */
  #find(path: readonly PathPart[]): { node: unknown; line: number } {
    let node = this.#root;
    let line = this.#lineOfNode(node) ?? 1;
    for (const part of path) {
      if (isMap(node)) {
        const pair = this.#pairs(node).get(String(part));
        if (pair === undefined) return { node: undefined, line };
        line = this.#lineOfNode(pair.key) ?? line;
        node = pair.value;
      } else if (isSeq(node) && typeof part === "number" && part < node.items.length) {
        node = node.items[part];
        line = this.#lineOfNode(node) ?? line;
      } else return { node: undefined, line };
      if (isAlias(node)) node = this.#targets.get(node);
    }
    return { node, line };
  }

  #pairs(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.#byKey.get(map);
    if (known !== undefined) return known;
    const pairs = new Map(map.items.map((pair) => [keyText(pair), pair]));
    this.#byKey.set(map, pairs);
    return pairs;
  }

  #lineOfNode(node: unknown): number | undefined {
    const range = (node as { range?: readonly number[] | null } | null | undefined)?.range;
    return range?.[0] === undefined ? undefined : this.#lines.linePos(range[0]).line;
  }

  #report(node: unknown, message: string, hint?: string): undefined {
    this.issues.push({ file: this.#file, line: this.#lineOfNode(node) ?? 1, message, ...(hint === undefined ? {} : { hint }) });
    return undefined;
  }

  #read(node: unknown, depth: number): unknown {
    if (depth > MAX_DEPTH) return this.#report(node, `values are nested more than ${MAX_DEPTH} levels deep`);
    this.#count++;
    if (isAlias(node)) return this.#readAlias(node);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    const entry: { node: unknown; value?: unknown; size?: number } = { node };
    if (anchor !== undefined) this.#anchors.set(anchor, entry);
    const before = this.#count;
    const value = isMap(node)
      ? this.#readMap(node, depth)
      : isSeq(node)
        ? node.items.map((item) => this.#read(item, depth + 1))
        : isScalar(node)
          ? node.value
          : null;
    entry.value = value;
    entry.size = this.#count - before + 1;
    return value;
  }

  #readAlias(node: Alias): unknown {
    const entry = this.#anchors.get(node.source);
    if (entry === undefined) return this.#report(node, `no value above is named &${node.source}`, "text that begins with * goes in quotes");
    if (entry.size === undefined) return this.#report(node, `&${node.source} contains itself`);
    this.#targets.set(node, entry.node);
    this.#count += entry.size;
    const wasLeft = this.#budget.left;
    this.#budget.left -= entry.size;
    if (this.#budget.left >= 0) return entry.value;
    if (wasLeft >= 0)
      this.#report(node, `the aliases of this file stand for more than ${MAX_ALIASED_VALUES} values`, "write fewer or smaller ones");
    return undefined;
  }

  #readMap(node: YAMLMap, depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    const merged: Record<string, unknown>[] = [];
    for (const pair of node.items) {
      const key = keyText(pair);
      if (key === "__proto__") this.#report(pair.key, `"__proto__" is not allowed as a name`);
      else if (entries.has(key)) this.#report(pair.key, `"${key}" is given twice`, "keep one of them");
      else {
        const value = this.#read(pair.value, depth + 1);
        if (key === "<<" && isScalar(pair.key) && pair.key.type === "PLAIN") merged.push(...this.#mergeSources(pair, value));
        else entries.set(key, value);
      }
    }
    return Object.assign({}, ...merged.reverse(), Object.fromEntries(entries));
  }

  #mergeSources(pair: Pair, value: unknown): Record<string, unknown>[] {
    const sources = Array.isArray(value) ? value : [value];
    if (sources.every((source) => typeof source === "object" && source !== null && !Array.isArray(source))) return sources;
    this.#report(pair.key, "<< takes a mapping or a list of mappings", "such as `<<: *defaults`");
    return [];
  }
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value ?? "") : String(pair.key);
}

function firstBadLine(bytes: Uint8Array): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
  return line;
}
