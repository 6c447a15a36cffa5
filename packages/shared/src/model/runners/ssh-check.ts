/** What the fields of a well-shaped `run.ssh` mean together. Pure. */
import type { ShapeIssue } from "../../base/zod-issues.ts";
import type { SshSpec } from "./ssh-spec.ts";

/** Paths begin inside the spec. `secrets`: the names under the job's `secrets`; absent: not looked at. */
export function checkSsh(spec: SshSpec, secrets?: readonly string[]): ShapeIssue[] {
  return [...checkProgram(spec), ...checkHosts(spec), ...checkAuth(spec, secrets)];
}

function checkProgram({ script, argv, shell }: SshSpec): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  if ((script === undefined) === (argv === undefined)) {
    const what = script === undefined ? "neither script nor argv is" : "both script and argv are";
    issues.push({ path: [], message: `${what} given; exactly one is needed` });
  }
  if (script !== undefined && script.trim() === "") issues.push({ path: ["script"], message: "the script is blank" });
  if (argv?.[0] === "") issues.push({ path: ["argv", 0], message: "the program's name is empty" });
  if (argv !== undefined && script === undefined && shell !== undefined)
    issues.push({ path: ["shell"], message: "argv is run without a shell", hint: "remove shell, or use script" });
  return issues;
}

function checkHosts({ hosts, maxParallel }: SshSpec): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  for (const [index, host] of hosts.entries()) {
    const first = hosts.indexOf(host);
    if (first < index) issues.push({ path: ["hosts", index], message: `"${host}" stands there already, as hosts[${first}]` });
  }
  if (maxParallel !== undefined && hosts.length === 1)
    issues.push({ path: ["maxParallel"], message: "there is only one host", hint: "remove maxParallel" });
  return issues;
}

function checkAuth({ auth }: SshSpec, secrets: readonly string[] | undefined): ShapeIssue[] {
  if (auth === undefined) return [];
  const issues: ShapeIssue[] = [];
  if (auth.agent === undefined && auth.key === undefined && auth.password === undefined)
    issues.push({ path: ["auth"], message: "no way to log in is given", hint: "give agent, key or password, or leave out auth" });
  if (auth.passphrase !== undefined && auth.key === undefined)
    issues.push({ path: ["auth", "passphrase"], message: "there is no key that it would open", hint: "give key too" });
  for (const field of ["passphrase", "password"] as const) {
    const name = auth[field];
    if (name !== undefined && secrets !== undefined && !secrets.includes(name))
      issues.push({
        path: ["auth", field],
        message: `the job has no secret ${name}`,
        hint: "it names an entry of the job's `secrets`; the value itself never stands here",
      });
  }
  return issues;
}
