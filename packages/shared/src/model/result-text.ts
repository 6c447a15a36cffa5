/**
 * From the bytes that a command has written to its result: a JSON object or `name=value` lines in the file, a JSON object at the end of stderr. Pure, and
 * never throws: what is not understood is said in `problems` and shown in `raw`.
 */
import type { ResultFrom } from "./job-spec.ts";
import { addProblems, checkResult, clip, type ExecutionResult, mapResultText, RESULT_LIMITS } from "./result.ts";

/** So many lines of stderr that begin with `{` are tried as the beginning of the result. */
const STDERR_TRIES = 16;

/** Takes secrets out of a text. */
export type Mask = (text: string) => string;

/** The result in `bytes`, which are `file`'s first or `stderr`'s last of `totalBytes`. Undefined: nothing was written. */
export function parseResult(
  bytes: Uint8Array,
  from: ResultFrom,
  totalBytes = bytes.length,
  mask: Mask = (text) => text,
): ExecutionResult | undefined {
  const text = new TextDecoder().decode(bytes);
  const result = from === "stderr" ? parseStderr(text, mask) : parseFile(text, bytes, totalBytes, mask);
  return result === undefined ? undefined : mapResultText(result, mask);
}

function parseFile(text: string, bytes: Uint8Array, totalBytes: number, mask: Mask): ExecutionResult | undefined {
  // Masked before it is cut: half a secret is not found any more.
  const withRaw = (result: ExecutionResult) => ({ ...result, raw: clip(mask(text), RESULT_LIMITS.rawBytes) });
  const malformed = (problem: string) => withRaw({ problems: [problem] });
  if (totalBytes > RESULT_LIMITS.readBytes)
    return malformed(`it has ${totalBytes} bytes; with more than ${RESULT_LIMITS.readBytes} nothing of it is taken`);
  if (text.trim() === "") return undefined;
  if (text.includes("\uFFFD") && !isUtf8(bytes)) return malformed("it is not text in UTF-8");
  const isJson = text.trimStart().startsWith("{");
  const value = isJson ? objectIn(text) : undefined;
  if (isJson && value === undefined) return malformed("it begins with { but is not valid JSON");
  const result = value === undefined ? parseLines(text) : checkResult(value);
  return result.problems === undefined ? result : withRaw(result);
}

/** `name=value` per line; the value is everything behind the first `=`. All are outputs. */
function parseLines(text: string): ExecutionResult {
  const outputs: [string, string][] = [];
  const notes: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at > 0) outputs.push([line.slice(0, at), line.slice(at + 1)]);
    else notes.push(`line ${index + 1} is not of the form name=value`);
  }
  return addProblems(checkResult({ outputs: Object.fromEntries(outputs) }), notes);
}

/** A JSON object at the end of what was printed; text before it is for people. */
function parseStderr(text: string, mask: Mask): ExecutionResult | undefined {
  const starts = [...text.matchAll(/^[ \t]*\{/gm)].map((match) => match.index);
  const first = text.indexOf("{");
  for (const start of new Set([...(first < 0 ? [] : [first]), ...starts.slice(-STDERR_TRIES)])) {
    const value = objectIn(text.slice(start));
    if (value === undefined) continue;
    const before = text.slice(0, start).trim();
    return { ...checkResult(value), ...(before === "" ? {} : { raw: clip(mask(before), RESULT_LIMITS.rawBytes, "tail") }) };
  }
  const words = text.trim();
  if (words === "") return undefined;
  const raw = clip(mask(words), RESULT_LIMITS.rawBytes, "tail");
  return starts.length === 0 ? { raw } : { raw, problems: ["stderr does not end with a valid JSON object"] };
}

function objectIn(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes) !== undefined;
  } catch {
    return false;
  }
}
