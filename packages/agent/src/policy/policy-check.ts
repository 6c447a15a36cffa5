/** What a job breaks of this host's policy. Looks at the job and at the file system, at nothing else. */
import { formatDuration } from "fleetcron-shared/base/duration";
import type { Job } from "fleetcron-shared/model/job";
import type { CommandSpec } from "fleetcron-shared/model/job-spec";
import { DEFAULT_PATH } from "../runners/default-path.ts";
import type { Policy, PolicyField } from "./policy-file.ts";
import { matchesPath, matchesText, resolveProgram } from "./program-path.ts";
import { checkReach, identityFiles } from "./reach-check.ts";

/** Variables with which a job could make an allowed program run something else; those that sudo takes away or sets itself. */
const LOADER_VARIABLES =
  /^(PATH|LD_.*|BASH_ENV|BASH_FUNC_.*|ENV|SHELLOPTS|BASHOPTS|PS4|IFS|CDPATH|GLOBIGNORE|PERL5?(LIB|OPT|DB)|PYTHON(HOME|PATH|STARTUP|INSPECT|USERBASE)|RUBY(LIB|OPT)|NODE_(OPTIONS|PATH)|JAVA_TOOL_OPTIONS|TERMINFO(_DIRS)?|TERMCAP|ZDOTDIR)$/;

type PolicyJob = Pick<Job, "group" | "run" | "timeoutMs" | "env" | "secrets">;
/** The names of the user that the agent runs as. */
type Own = { readonly userNames: readonly string[] };

/** Each broken rule in words, with its place in the file; empty when the job may run. `env`: further variables, of an order. */
export function violations(policy: Policy, own: Own, job: PolicyJob, env: Readonly<Record<string, string>> = {}): string[] {
  const found: string[] = [];
  const refuse = (field: PolicyField, why: string) => found.push(`${policy.place(field)}: ${why}`);
  const { jobGroups, runners, maxTimeoutMs } = policy;
  const [runner = ""] = Object.keys(job.run);
  if (jobGroups !== undefined && !jobGroups.some((one) => matchesText(one, job.group)))
    refuse("jobGroups", `jobs of the group "${job.group}" may not run on this host`);
  if (runners !== undefined && !runners.some((one) => one === runner))
    refuse("runners", `the runner "${runner}" may not be used on this host`);
  if (maxTimeoutMs !== undefined && (job.timeoutMs === 0 || job.timeoutMs > maxTimeoutMs)) {
    const has = job.timeoutMs === 0 ? "has no timeout" : `has a timeout of ${formatDuration(job.timeoutMs)}`;
    refuse("maxTimeout", `the job ${has}; give it one of at most ${formatDuration(maxTimeoutMs)}`);
  }
  checkSecrets(policy, job, refuse);
  checkReach(policy, job.run, { ...job.env, ...env }, refuse);
  const { command } = job.run;
  if (command !== undefined) {
    checkUser(policy, own, command, refuse);
    checkProgram(policy, command, { ...job.env, ...env }, Object.keys(job.secrets), refuse);
  }
  return found;
}

type Refuse = (field: PolicyField, why: string) => void;

/** A job that may only be certain users may only have of other groups, and of the agent's secrets, what is listed. */
function checkUser({ users, unixGroups = [] }: Policy, own: Own, command: CommandSpec, refuse: Refuse): void {
  if (users === undefined) return;
  const names = command.user === undefined ? own.userNames : [command.user];
  if (!names.some((name) => users.includes(name)))
    refuse(
      "users",
      `jobs may not run as "${names[0]}" on this host${command.user === undefined ? " (the agent's user; give run.command.user)" : ""}`,
    );
  if (command.group !== undefined && !unixGroups.includes(command.group))
    refuse(unixGroups.length > 0 ? "unixGroups" : "users", `jobs may not run with the Unix group "${command.group}" on this host`);
}

function checkSecrets(policy: Policy, job: PolicyJob, refuse: Refuse): void {
  const files = policy.secretFiles ?? (policy.users === undefined ? undefined : []);
  const variables = policy.secretEnv ?? (policy.users === undefined ? undefined : []);
  const refuseFile = (what: string, file: string) => {
    if (files === undefined) return;
    const resolved = resolveProgram(file, { path: "", cwd: undefined });
    if ("problem" in resolved || !matchesPath(files, resolved.file))
      refuse(policy.secretFiles === undefined ? "users" : "secretFiles", `${what} may not be read from ${file} on this host`);
  };
  for (const { place, file } of identityFiles(job.run)) refuseFile(place, file);
  for (const [name, { file, env }] of Object.entries(job.secrets)) {
    if (file !== undefined) refuseFile(`secrets.${name}`, file);
    if (env !== undefined && variables !== undefined && !variables.some((one) => matchesText(one, env)))
      refuse(policy.secretEnv === undefined ? "users" : "secretEnv", `secrets.${name} may not be taken from the agent's variable ${env}`);
  }
}

function checkProgram(
  policy: Policy,
  command: CommandSpec,
  env: Readonly<Record<string, string>>,
  secretNames: readonly string[],
  refuse: Refuse,
): void {
  const { commands, scripts = false } = policy;
  if (commands === undefined || (command.script !== undefined && scripts === true)) return;
  const loader = [...Object.keys(env), ...secretNames].find((name) => LOADER_VARIABLES.test(name));
  if (loader !== undefined) refuse("commands", `the variable ${loader} can change what a command does, and may not be set on this host`);
  if (command.script !== undefined) return checkScript(scripts, command, refuse);
  const program = resolveProgram(command.argv?.[0] ?? "", { path: DEFAULT_PATH, cwd: command.cwd });
  if ("problem" in program) refuse("commands", `${program.problem}, so that it cannot be allowed`);
  else if (!matchesPath(commands, program.file)) refuse("commands", `${program.file} may not be run on this host`);
}

/** A script is allowed as a whole or not at all: its commands cannot be told from outside. */
function checkScript(scripts: boolean | readonly string[], command: CommandSpec, refuse: Refuse): void {
  if (typeof scripts === "boolean") return refuse("commands", "scripts may not be run on this host, only the commands listed, with argv");
  if (command.shell !== undefined) refuse("scripts", "only the default shell may run scripts on this host");
  if (!scripts.some((one) => new RegExp(`^(?:${one})$`).test(command.script ?? "")))
    refuse("scripts", "the script is none of those that may be run on this host");
}
