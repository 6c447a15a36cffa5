/**
 * Reads ssh_config files with what they include, as lines of ssh-config. Two things of ssh_config would run programs: `Match exec` and `CanonicalizeHostname`.
 * They are taken out here and leave a mark where they would have counted, so that nothing is ever executed and nothing is ignored in silence.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import SSHConfig, { type Directive, type Line, LineType, type Match, type Section } from "ssh-config";
import { asError } from "../base/errors.ts";
import { type SshEnvironment, sshFolder, systemFolder } from "./environment.ts";
import { failed } from "./failure.ts";

const MAX_DEPTH = 16;

/** Stands in a section that only a program could have chosen; its value names file and directive. */
export const NOT_FOLLOWED = "FleetcronNotFollowed";

/** The user's file, then the system's: the first value of an option wins. Throws SshError `ssh/config`. */
export function readConfigs(environment: SshEnvironment): SSHConfig {
  const lines = new SSHConfig();
  for (const path of [join(sshFolder(environment), "config"), join(systemFolder(environment), "ssh_config")])
    lines.push(...readConfig(environment, path, 0));
  return lines;
}

function readConfig(environment: SshEnvironment, path: string, depth: number): Line[] {
  if (depth > MAX_DEPTH) throw failed("ssh/config", `${path}: files that include each other, more than ${MAX_DEPTH} deep`);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw failed("ssh/config", `the ssh config ${path} cannot be read: ${asError(error).message}`, error);
  }
  let parsed: SSHConfig;
  try {
    parsed = SSHConfig.parse(text);
  } catch (error) {
    throw failed("ssh/config", `the ssh config ${path} cannot be understood: ${asError(error).message}`, error);
  }
  return [...parsed].flatMap((line) => expand(environment, path, line, depth));
}

/** A line as this project may follow it; `Include` becomes what it includes. */
function expand(environment: SshEnvironment, path: string, line: Line, depth: number): Line[] {
  if (line.type !== LineType.DIRECTIVE) return [];
  if (is(line, "Include")) return included(environment, path, line, depth);
  if ("config" in line) {
    const inner = [...line.config].flatMap((each) => expand(environment, path, each, depth));
    const nested = inner.find((each) => "config" in each);
    if (nested !== undefined)
      throw failed("ssh/config", `${path}: an Include inside of Host or Match leads to further Host or Match lines`);
    return [section(path, line, inner)];
  }
  if (is(line, "CanonicalizeHostname") && !/^no$/i.test(textOf(line)))
    return [marker(`${path}: CanonicalizeHostname, which asks name servers for other names of the host`)];
  // The library knows these two by their usual spelling only.
  if (is(line, "HostName")) return [{ ...line, param: "HostName" }];
  return [is(line, "User") ? { ...line, param: "User" } : line];
}

function section(path: string, line: Section, inner: readonly Line[]): Line {
  const config = new SSHConfig();
  config.push(...inner);
  if (!("criteria" in line)) return { ...line, config } as Section;
  const match = line as Match;
  const criteria = { ...match.criteria };
  const exec = Object.keys(criteria).find((key) => key.toLowerCase() === "exec");
  if (exec !== undefined) {
    delete criteria[exec];
    config.length = 0;
    config.push(marker(`${path}: Match exec, which would run a program`));
  }
  return { ...match, criteria, config } as Match;
}

function included(environment: SshEnvironment, path: string, line: Directive, depth: number): Line[] {
  const folder = path.startsWith(systemFolder(environment)) ? dirname(path) : sshFolder(environment);
  const patterns = typeof line.value === "string" ? [line.value] : line.value.map(({ val }) => val);
  return patterns.flatMap((pattern) => {
    const home = pattern.replace(/^~(?=\/)/, environment.home);
    const files = globSync(isAbsolute(home) ? home : join(folder, home)).sort();
    return files.flatMap((file) => readConfig(environment, file, depth + 1));
  });
}

function marker(value: string): Directive {
  return { type: LineType.DIRECTIVE, param: NOT_FOLLOWED, separator: " ", value, before: "", after: "\n" };
}

function is(line: Directive, param: string): boolean {
  return line.param.toLowerCase() === param.toLowerCase();
}

function textOf({ value }: Directive): string {
  return typeof value === "string" ? value : value.map(({ val }) => val).join(" ");
}
