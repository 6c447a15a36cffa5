/** What a job runs, as one line for people: in records, listings and messages. Pure. */
import type { CommandSpec, RunSpec } from "../job-spec.ts";

const MAX_LENGTH = 500;

/** At most 500 characters; variables are not replaced, so that no value is in it. */
export function describeRun({ command, ssh, http, kubernetes }: RunSpec): string {
  if (command !== undefined) return cut(words(command));
  if (ssh !== undefined) return cut(`ssh ${ssh.hosts.join(",")}: ${words(ssh)}`);
  if (http !== undefined) return cut(`${http.method ?? "GET"} ${http.url}`);
  const { setImage, manifest } = kubernetes ?? {};
  if (setImage !== undefined) return cut(`set image of ${setImage.kind} ${setImage.name}: ${setImage.container}=${setImage.image}`);
  const kind = /^kind:\s*(\S+)/m.exec(manifest ?? "")?.[1] ?? "object";
  const name = /^\s+(?:name|generateName):\s*(\S+)/m.exec(manifest ?? "")?.[1] ?? "";
  return cut(`kubernetes ${kind} ${name}`.trim());
}

function words({ script, argv }: Pick<CommandSpec, "script" | "argv">): string {
  return script ?? (argv ?? []).join(" ");
}

function cut(text: string): string {
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`;
}
