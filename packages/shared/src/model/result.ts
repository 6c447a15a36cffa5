/**
 * What a command hands back, within limits (result-text.ts reads it from what was written). Pure, and never throws, whatever was written: what does not fit
 * is left out and named in `problems`. Names are such that they can stand in environment variables and in keys.
 */
/** The result of an attempt. Empty fields are absent; all texts are well-formed, values hold no NUL. */
export type ExecutionResult = {
  /** For later tasks of the same pipeline run. */
  readonly outputs?: Readonly<Record<string, string>>;
  /** Variables of the cluster (`globals/<NAME>`). */
  readonly globals?: Readonly<Record<string, string>>;
  /** Set on the node (`conditions/<node>/<type>`). */
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  /** Jobs (`group/id`) to order on this node after this one. */
  readonly next?: readonly string[];
  /** `failed` turns a success into a failure; `succeeded` changes nothing. */
  readonly status?: "succeeded" | "failed";
  /** For people. */
  readonly message?: string;
  /** What was written, where it was not understood; with `resultFrom: stderr`, what was printed beside the result. Capped. */
  readonly raw?: string;
  /** What was left out and why, in words. */
  readonly problems?: readonly string[];
};

/** `readBytes`: of what the command wrote. The other sizes are of the text as JSON, since that is how it is stored. */
export const RESULT_LIMITS = {
  readBytes: 64 * 1024,
  keptBytes: 32 * 1024,
  valueBytes: 8 * 1024,
  messageBytes: 2048,
  rawBytes: 4096,
  problemBytes: 400,
  outputs: 100,
  globals: 20,
  conditions: 20,
  next: 10,
  problems: 20,
} as const;

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const CONDITION_TYPE = /^[A-Za-z][A-Za-z0-9._-]{0,62}$/;
const JOB_KEY = /^[a-z0-9][a-z0-9._-]{0,62}\/[a-z0-9][a-z0-9._-]{0,62}$/;
const FIELDS = ["outputs", "globals", "conditions", "next", "status", "message"];

/** Whether `name` may name an output or a global. */
export function isResultName(name: string): boolean {
  return NAME.test(name) && !name.startsWith("FLEETCRON_");
}

/** Whether `value` may be one: no NUL, not too long. */
export function isResultValue(value: string): boolean {
  return !value.includes("\0") && jsonBytes(value) <= RESULT_LIMITS.valueBytes;
}

/** `value`, an object as a command writes it, within the limits: what does not fit is left out and named in `problems`. */
export function checkResult(value: object): ExecutionResult {
  const { notes, note, fits } = createBudget();
  const fields = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(fields)) {
    if (!FIELDS.includes(name)) note(`there is no field ${quote(name)}; allowed: ${FIELDS.join(", ")}`);
  }
  const status = statusOf(fields.status);
  if (fields.status !== undefined && status === undefined) note("status: succeeded or failed is expected");
  const message = textOf(fields.message);
  if (fields.message !== undefined && message === undefined) note("message: a text is expected");
  const clipped = message === undefined ? undefined : clip(message, RESULT_LIMITS.messageBytes);

  const conditions = new Map<string, { type: string; status: string; message?: string }>();
  for (const [at, item] of items("conditions", fields.conditions, RESULT_LIMITS.conditions, note)) {
    const { type, status: word, message: why } = (typeof item === "object" && item !== null ? item : {}) as Record<string, unknown>;
    const [state, words] = [textOf(word), textOf(why)];
    if (typeof type !== "string" || !CONDITION_TYPE.test(type))
      note(`conditions[${at}].type: 1 to 63 letters, digits and ._- are expected, a letter first`);
    else if (state === undefined || !/^[^\p{Cc}]{1,63}$/u.test(state))
      note(`conditions[${at}].status: one line of 1 to 63 characters is expected`);
    else {
      const condition = { type, status: state, ...(words ? { message: clip(words, RESULT_LIMITS.messageBytes) } : {}) };
      if (fits(condition, `conditions[${at}]`)) conditions.set(type, condition);
    }
  }
  const next = new Set<string>();
  for (const [at, job] of items("next", fields.next, RESULT_LIMITS.next, note)) {
    if (typeof job === "string" && JOB_KEY.test(job)) next.add(job);
    else note(`next[${at}]: a job as "group/id" is expected`);
  }
  const globals = takeValues("globals", fields.globals, RESULT_LIMITS.globals, note, fits);
  const outputs = takeValues("outputs", fields.outputs, RESULT_LIMITS.outputs, note, fits);
  return {
    ...(outputs.length === 0 ? {} : { outputs: Object.fromEntries(outputs) }),
    ...(globals.length === 0 ? {} : { globals: Object.fromEntries(globals) }),
    ...(conditions.size === 0 ? {} : { conditions: [...conditions.values()] }),
    ...(next.size === 0 ? {} : { next: [...next] }),
    ...(status === undefined ? {} : { status }),
    ...(clipped ? { message: clipped } : {}),
    ...(notes.length === 0 ? {} : { problems: notes }),
  };
}

/** A result that came over the wire, within the limits again: its reader need not trust who sent it. */
export function recheckResult(result: object): ExecutionResult {
  const { raw, problems, ...rest } = result as { raw?: unknown; problems?: unknown };
  const { problems: found = [], ...checked } = checkResult(rest);
  const told = Array.isArray(problems) ? problems.filter((problem) => typeof problem === "string") : [];
  return addProblems(typeof raw === "string" ? { ...checked, raw: clip(raw.toWellFormed(), RESULT_LIMITS.rawBytes) } : checked, [
    ...told,
    ...found,
  ]);
}

/** The result with every text that a command has chosen the words of passed through `change`; names stay. */
export function mapResultText(result: ExecutionResult, change: (text: string) => string): ExecutionResult {
  const values = (map: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value)]));
  const { outputs, globals, conditions, message, raw, problems, ...rest } = result;
  return {
    ...(outputs === undefined ? {} : { outputs: values(outputs) }),
    ...(globals === undefined ? {} : { globals: values(globals) }),
    ...(conditions === undefined
      ? {}
      : {
          conditions: conditions.map((one) => ({
            ...one,
            status: change(one.status),
            ...(one.message === undefined ? {} : { message: change(one.message) }),
          })),
        }),
    ...rest,
    ...(message === undefined ? {} : { message: change(message) }),
    ...(raw === undefined ? {} : { raw: change(raw) }),
    ...(problems === undefined ? {} : { problems: problems.map(change) }),
  };
}

/** The result with more problems, as many as there is room for. */
export function addProblems(result: ExecutionResult, more: readonly string[]): ExecutionResult {
  const { problems = [], ...rest } = result;
  const all = [...problems, ...more]
    .slice(0, RESULT_LIMITS.problems)
    .map((problem) => clip(problem.toWellFormed(), RESULT_LIMITS.problemBytes));
  return all.length === 0 ? rest : { ...rest, problems: all };
}

function takeValues(
  field: string,
  value: unknown,
  max: number,
  note: (problem: string) => void,
  fits: (item: unknown, where: string) => boolean,
): [string, string][] {
  if (value === undefined) return [];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    note(`${field}: names and values are expected, such as {"name": "value"}`);
    return [];
  }
  const taken: [string, string][] = [];
  for (const [name, item] of Object.entries(value)) {
    const text = textOf(item);
    if (!isResultName(name))
      note(`${field}: ${quote(name)} is not a name of 1 to 63 letters, digits and _ (not FLEETCRON_…, no digit first)`);
    else if (text === undefined) note(`${field}.${name}: a text, a number, true or false is expected`);
    else if (!isResultValue(text))
      note(`${field}.${name}: the value holds a NUL character or is larger than ${RESULT_LIMITS.valueBytes} bytes`);
    else if (taken.length === max) note(`${field}.${name}: there are more than ${max}`);
    else if (fits([name, text], `${field}.${name}`)) taken.push([name, text]);
  }
  return taken;
}

function statusOf(value: unknown): ExecutionResult["status"] {
  switch (typeof value === "string" ? value.toLowerCase() : undefined) {
    case "succeeded":
    case "success":
      return "succeeded";
    case "failed":
    case "failure":
      return "failed";
    default:
      return undefined;
  }
}

function items(field: string, value: unknown, max: number, note: (problem: string) => void): [number, unknown][] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) note(`${field}: a list is expected`);
  const list: unknown[] = Array.isArray(value) ? value : [];
  if (list.length > max) note(`${field}: there are ${list.length}; only the first ${max} are taken`);
  return [...list.slice(0, max).entries()];
}

function createBudget() {
  const notes: string[] = [];
  let left: number = RESULT_LIMITS.keptBytes;
  const note = (problem: string) => {
    if (notes.length < RESULT_LIMITS.problems) notes.push(clip(problem, RESULT_LIMITS.problemBytes));
  };
  const fits = (item: unknown, where: string) => {
    const bytes = jsonBytes(item);
    if (bytes <= left) {
      left -= bytes;
      return true;
    }
    note(`${where}: left out, the result is larger than ${RESULT_LIMITS.keptBytes} bytes`);
    return false;
  };
  return { notes, note, fits };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value.toWellFormed();
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** The longest head (or tail) of `text` that is at most `max` bytes as JSON, with `…` where it was cut. */
export function clip(text: string, max: number, keep: "head" | "tail" = "head"): string {
  if (text.length <= max && jsonBytes(text) <= max) return text;
  const cut = (length: number) => (keep === "head" ? `${text.slice(0, length)}…` : `…${text.slice(text.length - length)}`).toWellFormed();
  let [fitting, tooLong] = [0, Math.min(text.length, max) + 1];
  while (tooLong - fitting > 1) {
    const middle = (fitting + tooLong) >>> 1;
    if (jsonBytes(cut(middle)) <= max) fitting = middle;
    else tooLong = middle;
  }
  return cut(fitting);
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function quote(name: string): string {
  return JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…`.toWellFormed() : name);
}
