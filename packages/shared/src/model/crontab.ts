/**
 * Crontabs as jobs. Nothing gets lost silently: each line that is not blank becomes part of a job, or is in the notes with its number and the
 * reason. The jobs have passed the same check as those of a job file.
 */
import { AppError, type Issue } from "../base/errors.ts";
import { formatPath } from "../base/yaml-source.ts";
import { checkShape } from "../base/zod-issues.ts";
import { zoneOf } from "./calendar/zones.ts";
import { type CrontabLine, readCrontabLines } from "./crontab-lines.ts";
import { jobIds } from "./crontab-names.ts";
import { CrontabSettings } from "./crontab-settings.ts";
import { checkMeaning } from "./job-check.ts";
import { ID_PATTERN } from "./job-fields.ts";
import type { ParsedJob } from "./job-file.ts";
import { jobSchema } from "./job-schema.ts";
import type { JobSpec, TargetSpec } from "./job-spec.ts";

export type CrontabOptions = {
  /** A system crontab (/etc/crontab, /etc/cron.d): a user stands before the command. */
  readonly system: boolean;
  /** Named in the notes. */
  readonly file: string;
  /** The group of the jobs. */
  readonly group: string;
  /** Whose crontab it is, for user crontabs; absent = the agent's own user. */
  readonly user?: string;
  /** The host's time zone, for entries above which the crontab names none; absent = the cluster's. */
  readonly timezone?: string;
  /** Absent = every node. */
  readonly target?: TargetSpec;
};

type Entry = CrontabLine & { type: "entry" };
type Draft = { readonly line: number; readonly spec: JobSpec; readonly command: string; readonly content: string };

const WORDS: Readonly<Record<string, string>> = {
  "@reboot": "@startup",
  "@yearly": "@yearly",
  "@annually": "@yearly",
  "@monthly": "@monthly",
  "@weekly": "@weekly",
  "@daily": "@daily",
  "@midnight": "@daily",
  "@hourly": "@hourly",
};

/** The jobs of a crontab and what could not be carried over (or was changed), in the order of the lines. Throws `input/invalid` for a wrong group. */
export function importCrontab(text: string, options: CrontabOptions): { jobs: ParsedJob[]; notes: Issue[] } {
  const { file, group } = options;
  if (!ID_PATTERN.test(group))
    throw new AppError("input/invalid", `"${group}" cannot be a group; 1 to 63 of a-z, 0-9, dot, underscore, dash are allowed`);
  if (options.timezone !== undefined) zoneOf(options.timezone);
  const notes: Issue[] = [];
  const note = (line: number, message: string, hint?: string) =>
    notes.push({ file, line, message, ...(hint === undefined ? {} : { hint }) });
  const drafts = readDrafts(readCrontabLines(text, options.system), options, note);
  if (text.includes("\r\n")) note(1, "the lines end in CR LF; the carriage returns are left out");
  const ids = jobIds(drafts);
  const jobs = drafts.map(({ line, spec }, index): ParsedJob => ({ group, id: ids[index] ?? "", spec, file, line, lineOf: () => line }));
  return { jobs, notes: notes.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
}

type Note = (line: number, message: string, hint?: string) => void;

function readDrafts(lines: readonly CrontabLine[], options: CrontabOptions, note: Note): Draft[] {
  const settings = new CrontabSettings(note);
  const drafts = new Map<string, Draft>();
  let comments: (CrontabLine & { type: "comment" })[] = [];
  const dropComments = () => noteComments(comments.splice(0), note);
  for (const line of lines) {
    if (line.type === "comment") {
      comments = [...comments, line];
      continue;
    }
    if (line.type === "entry") {
      const words = comments.filter((comment) => comment.look === "words");
      const draft = draftOf(line, words.map((comment) => comment.text).join("\n"), settings, options, note);
      const same = draft === undefined ? undefined : drafts.get(draft.content);
      if (draft !== undefined && same === undefined) {
        drafts.set(draft.content, draft);
        settings.markUsed();
        // A description was made of these; rulers among them are no loss.
        comments = words.length === 0 ? comments : comments.filter((comment) => comment.look === "entry");
      } else if (same !== undefined) note(line.line, `the same entry as line ${same.line}; it is imported once`);
    }
    dropComments();
    if (line.type === "unknown") note(line.line, `not imported: ${line.why}`);
    if (line.type === "env") settings.set(line.line, line.name, line.value);
  }
  dropComments();
  settings.noteUnused();
  return [...drafts.values()];
}

function noteComments(comments: readonly (CrontabLine & { type: "comment" })[], note: Note): void {
  const off = comments.filter((comment) => comment.look === "entry");
  for (const comment of off) note(comment.line, "a commented-out entry; not imported");
  const rest = comments.filter((comment) => comment.look !== "entry");
  for (const [index, comment] of rest.entries()) {
    if (rest[index - 1]?.line === comment.line - 1) continue;
    let last = comment.line;
    for (const later of rest.slice(index + 1)) if (later.line === last + 1) last = later.line;
    const lines = last === comment.line ? "" : ` (lines ${comment.line} to ${last})`;
    note(comment.line, `a comment that is not directly above an imported entry${lines}; not carried over`);
  }
}

function draftOf(entry: Entry, description: string, settings: CrontabSettings, options: CrontabOptions, note: Note): Draft | undefined {
  const timer = timerOf(entry.when);
  const refuse = (message: string, hint?: string) => void note(entry.line, `not imported: ${message}`, hint);
  if ("why" in timer) return refuse(timer.why, timer.hint);
  if (/^-[nqs]+\s/.test(entry.command)) return refuse("flags before the command (OpenBSD, FreeBSD) are not known here", "remove them");
  const { env, shell, cwd, timezone = options.timezone, jitter } = settings.inForce();
  const user = options.system ? entry.user : options.user;
  const target = options.target;
  const given: JobSpec = {
    ...(description === "" ? {} : { description }),
    run: {
      command: {
        script: entry.command,
        ...(shell === undefined ? {} : { shell }),
        ...(cwd === undefined ? {} : { cwd }),
        ...(user === undefined ? {} : { user }),
        ...(entry.stdin === undefined ? {} : { stdin: entry.stdin }),
      },
    },
    rules: [
      {
        mode: "cycle",
        timer: timer.text,
        ...(timezone === undefined ? {} : { timezone }),
        ...(target === undefined ? {} : { target }),
        ...(jitter === undefined ? {} : { jitter }),
      },
    ],
    ...(Object.keys(env).length === 0 ? {} : { env }),
  };
  const shape = checkShape<JobSpec>(jobSchema, given);
  const [wrong] = shape.issues ?? checkMeaning(options.group, "entry", shape.value, 0);
  if (wrong !== undefined)
    return refuse(`${wrong.path.includes("timer") ? "" : `${formatPath(wrong.path)}: `}${wrong.message}`, wrong.hint);
  if (entry.quiet) note(entry.line, "the - before the time (no log line) has no meaning here; the entry is imported without it");
  if (!options.system && /^root\s/.test(entry.command)) note(entry.line, 'the command begins with "root": is this a system crontab?');
  const command = JSON.stringify(given.run);
  return {
    line: entry.line,
    spec: given,
    command: entry.command,
    content: `${timer.text}\0${timezone}\0${command}\0${JSON.stringify(env)}`,
  };
}

function timerOf(when: string): { text: string } | { why: string; hint: string } {
  if (when.startsWith("@")) {
    const text = WORDS[when.toLowerCase()];
    return text === undefined ? { why: `${when} is not known`, hint: `allowed: ${Object.keys(WORDS).join(", ")}` } : { text };
  }
  if (when.includes("~"))
    return {
      why: `random ranges (~) are drawn anew at each start of cron`,
      hint: "H draws once per job and stays: 0~59 becomes H, 0~29 becomes H(0-29)",
    };
  return { text: when };
}
