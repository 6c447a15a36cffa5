/** `channels:` of a job file: channels keyed by name, beside `jobs:`. */
import type { Issue } from "../base/errors.ts";
import type { YamlDocument } from "../base/yaml-source.ts";
import { checkShape, found, toIssue } from "../base/zod-issues.ts";
import type { ChannelSpec } from "./channel.ts";
import { channelSchema, checkChannel } from "./channel-schema.ts";
import { channelName } from "./notify-rules.ts";

/** A channel as a file holds it, with its place. */
export type ParsedChannel = { readonly name: string; readonly spec: ChannelSpec; readonly file: string; readonly line: number };

/** Reads the `channels` of one document, `value`, into `channels`; what is wrong goes to `issues`. */
export function readChannels(
  file: string,
  document: YamlDocument,
  value: unknown,
  channels: Map<string, ParsedChannel>,
  issues: Issue[],
): void {
  const at = ["channels"];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = `${found(value)}; a mapping from names to channels is expected`;
    issues.push({ ...toIssue({ path: [], message }, at, { file, line: document.lineOf(at) }), hint: "`channels: {}` for none" });
    return;
  }
  const lines = document.linesOf(at);
  for (const [name, spec] of Object.entries(value)) {
    const line = lines.get(name) ?? 1;
    const checked = checkNamedChannel(name, spec);
    for (const issue of checked.issues)
      issues.push(toIssue(issue, [...at, name], { file, line: document.lineOf([...at, name, ...issue.path]) }));
    const other = channels.get(name);
    if (other !== undefined) {
      const message = `the channel ${name} is also in ${other.file}:${other.line}`;
      issues.push(toIssue({ path: [], message, hint: "keep one of them" }, [...at, name], { file, line }));
    } else if (checked.spec !== undefined) channels.set(name, { name, spec: checked.spec, file, line });
  }
}

/** A channel of unknown shape, checked whole; `spec` is undefined when there are issues. */
export function checkNamedChannel(name: string, value: unknown): { spec?: ChannelSpec; issues: readonly Parameters<typeof toIssue>[0][] } {
  const issues = [...(checkShape(channelName, name).issues ?? [])];
  const shape = checkShape<ChannelSpec>(channelSchema, value);
  if (shape.issues !== undefined) return { issues: [...issues, ...shape.issues] };
  issues.push(...checkChannel(shape.value));
  return issues.length > 0 ? { issues } : { spec: shape.value, issues };
}
