/**
 * A program's configuration: one YAML file, below environment variables, below flags; checked once into a frozen value. Every key has the three
 * names that `configNames` gives. What is wrong is reported all at once (`config/invalid`), each with its source.
 */
import { readFileSync } from "node:fs";
import { stringify } from "yaml";
import type { z } from "zod";
import { AppError, asError, type Issue } from "./errors.ts";
import { suggestHint } from "./suggest.ts";
import { readYaml } from "./yaml-source.ts";
import { checkShape, found, type ShapeIssue, toIssue } from "./zod-issues.ts";

export type ConfigInput<S extends z.ZodObject> = {
  /** Flat: one level of camelCase keys, defaults included. */
  readonly schema: S;
  /** A file that somebody asked for: it must exist. Absent: `<envPrefix>CONFIG` of the environment, else `defaultFile`. */
  readonly file?: string | undefined;
  /** Read when it exists. */
  readonly defaultFile?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By schema key, as the command line parser gives them; undefined = not given, other names are ignored. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Such as `FLEETCRON_AGENT_`. */
  readonly envPrefix: string;
  /** Named in messages. */
  readonly program: string;
};

/** A value and where it came from. */
type Sourced = { readonly value: unknown; readonly at: { readonly file?: string; readonly line?: number; readonly path: string } };

/** What stands for a secret in `renderConfig`. */
export const MASK = "********";

/** The names of a key outside the file: `dataDir` → `FLEETCRON_AGENT_DATA_DIR` and `--data-dir`. */
export function configNames(envPrefix: string, key: string): { env: string; flag: string } {
  const words = key.replace(/[A-Z]/g, (letter) => `_${letter}`);
  return { env: envPrefix + words.toUpperCase(), flag: `--${words.replaceAll("_", "-").toLowerCase()}` };
}

/** The effective configuration, deeply frozen; throws `config/invalid` (or `input/…` for a file that is no text) with every issue. */
export function loadConfig<S extends z.ZodObject>(input: ConfigInput<S>): Readonly<z.output<S>> {
  const issues: Issue[] = [];
  const values = new Map<string, Sourced>([...readConfigFile(input, issues), ...readEnv(input, issues), ...readFlags(input)]);
  const shape = checkShape<z.output<S>>(
    input.schema as unknown as z.ZodType<z.output<S>>,
    Object.fromEntries([...values].map(([key, { value }]) => [key, value])),
  );
  issues.push(...(shape.issues ?? []).map((issue) => sourceIssue(input, values, issue)));
  if (shape.issues === undefined && issues.length === 0) return deepFreeze(shape.value);
  throw new AppError(
    "config/invalid",
    `the configuration of ${input.program} is wrong in ${issues.length === 1 ? "1 place" : `${issues.length} places`}`,
    { issues },
  );
}

/** The configuration as YAML for `--print-config`; the values of `secretKeys`, and passwords inside URLs, are masked. */
export function renderConfig(config: Readonly<Record<string, unknown>>, secretKeys: readonly string[]): string {
  const shown = Object.entries(config).filter(([, value]) => value !== undefined);
  const mask = (key: string, value: unknown) => (secretKeys.includes(key) && value !== "" && value !== null ? MASK : maskUrls(value));
  return stringify(Object.fromEntries(shown.map(([key, value]) => [key, mask(key, value)])), {
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}

function readConfigFile(input: ConfigInput<z.ZodObject>, issues: Issue[]): [string, Sourced][] {
  const asked = input.file ?? input.env[`${input.envPrefix}CONFIG`];
  const file = asked ?? input.defaultFile;
  const bytes = file === undefined ? undefined : readBytes(file, asked !== undefined);
  if (file === undefined || bytes === undefined) return [];
  const { documents, issues: syntax } = readYaml(bytes, file);
  issues.push(...syntax);
  const [document, second] = documents;
  if (second !== undefined)
    issues.push({ file, line: second.lineOf([]), message: "the file holds more than one document", hint: "keep one of them" });
  if (document === undefined) return [];
  const top = document.value;
  if (typeof top !== "object" || top === null || Array.isArray(top)) {
    issues.push({
      file,
      line: document.lineOf([]),
      message: `${found(top)}; a configuration file is a mapping`,
      hint: "lines such as `name: value`",
    });
    return [];
  }
  const known = Object.keys(input.schema.shape);
  return Object.entries(top).flatMap(([key, value]): [string, Sourced][] => {
    const at = { file, line: document.lineOf([key]), path: key };
    if (known.includes(key)) return [[key, { value, at }]];
    issues.push({ ...at, message: "there is no such setting", hint: suggestHint(key, known) });
    return [];
  });
}

function readBytes(file: string, required: boolean): Uint8Array | undefined {
  try {
    return readFileSync(file);
  } catch (thrown) {
    const cause = asError(thrown) as NodeJS.ErrnoException;
    if (cause.code === "ENOENT" && !required) return undefined;
    const message = `the configuration file ${file} cannot be read: ${cause.code === "ENOENT" ? "there is no such file" : cause.message}`;
    throw new AppError("config/invalid", message, { cause, issues: [{ file, message }] });
  }
}

function readEnv(input: ConfigInput<z.ZodObject>, issues: Issue[]): [string, Sourced][] {
  const keys = new Map(Object.keys(input.schema.shape).map((key) => [configNames(input.envPrefix, key).env, key]));
  return Object.entries(input.env).flatMap(([name, text]): [string, Sourced][] => {
    const key = keys.get(name);
    if (text === undefined) return [];
    if (key !== undefined) return [[key, { value: fromText(input.schema.shape[key], text), at: { path: name } }]];
    const rest = name.startsWith(input.envPrefix) ? name.slice(input.envPrefix.length) : undefined;
    if (rest === undefined || rest === "CONFIG" || isServiceLink(rest)) return [];
    const hint = suggestHint(
      rest,
      [...keys.keys()].map((known) => known.slice(input.envPrefix.length)),
    );
    issues.push({ path: name, message: "there is no such setting", hint: hint.replace(/"(.*)"/, `"${input.envPrefix}$1"`) });
    return [];
  });
}

/** Kubernetes gives containers variables named after the services around them: `<SERVICE>_PORT_80_TCP_ADDR` … */
function isServiceLink(rest: string): boolean {
  return /^(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$/.test(rest);
}

function readFlags(input: ConfigInput<z.ZodObject>): [string, Sourced][] {
  return Object.entries(input.schema.shape).flatMap(([key, field]): [string, Sourced][] => {
    const given = Object.hasOwn(input.flags, key) ? input.flags[key] : undefined;
    if (given === undefined) return [];
    return [[key, { value: fromText(field, given), at: { path: configNames(input.envPrefix, key).flag } }]];
  });
}

/** What text (or texts, of a flag given several times) means for a field: `4`, `true`, `a,b`, `role=db,zone=a`. What does not fit stays as it is, for the check to refuse. */
function fromText(field: unknown, given: unknown): unknown {
  const kind = kindOf(field);
  if (kind === "array" && typeof given === "string") return splitList(given);
  if (kind === "array" && Array.isArray(given)) return given.flatMap((item) => (typeof item === "string" ? splitList(item) : [item]));
  if (kind === "record") {
    const pairs = (Array.isArray(given) ? given : [given]).flatMap((item) => (typeof item === "string" ? splitList(item) : []));
    if (pairs.length === 0 && typeof given !== "string") return given;
    return pairs.every((pair) => pair.includes("="))
      ? Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]))
      : given;
  }
  if (typeof given !== "string") return given;
  if (kind === "number" && /^-?\d+(\.\d+)?$/.test(given.trim())) return Number(given);
  if (kind === "boolean" && /^(true|false)$/i.test(given)) return given.toLowerCase() === "true";
  return given;
}

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** The kind of value that a field takes, behind `.optional()`, `.default()` and pipes. */
function kindOf(field: unknown): string {
  const def = (field as z.core.$ZodType)._zod.def as { type: string; innerType?: unknown; in?: unknown; out?: unknown };
  if (def.innerType !== undefined) return kindOf(def.innerType);
  if (def.type === "pipe") return kindOf((def.in as z.core.$ZodType)._zod.def.type === "transform" ? def.out : def.in);
  return def.type;
}

function sourceIssue(input: ConfigInput<z.ZodObject>, values: ReadonlyMap<string, Sourced>, issue: ShapeIssue): Issue {
  const [key = "", ...rest] = issue.path.map((part) => part);
  const source = values.get(String(key));
  if (source !== undefined) return toIssue({ ...issue, path: rest }, [source.at.path], source.at);
  const { env, flag } = configNames(input.envPrefix, String(key));
  return toIssue({ hint: `give it as ${flag}, as ${env} or in the configuration file`, ...issue }, []);
}

function maskUrls(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/(\w+:\/\/[^/:@\s]*:)[^/@\s]+@/g, `$1${MASK}@`);
  return Array.isArray(value) ? value.map(maskUrls) : value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
