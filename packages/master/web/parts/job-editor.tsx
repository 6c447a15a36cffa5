/**
 * A job (or several, or pipelines and channels) as YAML. While one writes, the master checks it without writing anything: what is wrong by line, what changes,
 * and what will fire when.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { stringify } from "yaml";
import { type ProblemView, problemView } from "../../src/client/problem.ts";
import { dateTime } from "../base/format.ts";
import { act, useApp } from "../data/context.ts";
import type { ApplyResult, Job } from "../data/types.ts";
import { Dialog } from "./dialog.tsx";
import { Problem } from "./small.tsx";

export const NEW_JOB = `jobs:
  group/id:
    run:
      command: { script: "date" }
    rules:
      - { mode: cycle, timer: "*/5 * * * *" }
`;
const FILE = "console.yaml";
const CHECK_AFTER_MS = 500;

export function yamlOf({ group, id, spec }: Pick<Job, "group" | "id" | "spec">): string {
  return stringify({ jobs: { [`${group}/${id}`]: spec } }, { lineWidth: 0 });
}

type Checked = { readonly of: string; readonly result?: ApplyResult; readonly problem?: ProblemView };

export function JobEditor({ title, text: first, job, onClose }: { title: string; text: string; job?: Job; onClose(): void }) {
  const app = useApp();
  const { t, api, clock } = app;
  const [text, setText] = useState(first);
  const [checked, setChecked] = useState<Checked | undefined>(undefined);
  const [isSaving, setSaving] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLPreElement>(null);
  const opened = useRef(job?.revision);
  const now = job === undefined ? undefined : (app.fleet.jobs.items.value.get(`${job.group}/${job.id}`)?.revision ?? job.revision);

  useEffect(() => {
    let isCurrent = true;
    const cancel = clock.after(CHECK_AFTER_MS, () => {
      api.apply({ files: [{ name: FILE, text }], dryRun: true }).then(
        (result) => isCurrent && setChecked({ of: text, result }),
        (thrown: unknown) => isCurrent && setChecked({ of: text, problem: problemView(thrown) }),
      );
    });
    return () => {
      isCurrent = false;
      cancel();
    };
  }, [text]);

  const goTo = (line: number) => {
    const lines = text.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    area.current?.focus();
    area.current?.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  };
  const save = async () => {
    setSaving(true);
    const isDone = await act(app, t("edit.saved"), () => api.apply({ files: [{ name: FILE, text }] }));
    setSaving(false);
    if (isDone) onClose();
  };
  const isChecked = checked?.of === text;
  const issues = isChecked ? (checked.problem?.issues ?? []) : [];
  const marked = new Set(issues.map(({ line }) => line));
  const lineCount = text.split("\n").length;
  return (
    <Dialog title={title} onClose={onClose} wide>
      {now !== opened.current && <p role="alert">{t("edit.changedMeanwhile")}</p>}
      <div class="editor">
        <pre ref={gutter} aria-hidden="true">
          {Array.from({ length: lineCount }, (_, i) => (
            <span key={i} class={marked.has(i + 1) ? "bad" : undefined}>{`${i + 1}\n`}</span>
          ))}
        </pre>
        <textarea
          ref={area}
          aria-label={t("edit.text")}
          aria-invalid={issues.length > 0}
          spellcheck={false}
          autocapitalize="off"
          rows={Math.min(24, Math.max(10, lineCount + 1))}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onScroll={(event) => {
            if (gutter.current !== null) gutter.current.scrollTop = event.currentTarget.scrollTop;
          }}
        />
      </div>
      <div class="checked" aria-live="polite">
        {!isChecked && <p class="dim">{t("edit.checking")}</p>}
        {isChecked && checked.problem !== undefined && <Wrong problem={checked.problem} goTo={goTo} />}
        {isChecked && checked.result !== undefined && <Changes result={checked.result} before={job} />}
      </div>
      <footer>
        <button type="button" onClick={onClose}>
          {t("do.cancel")}
        </button>
        <button type="button" class="primary" disabled={!isChecked || checked.result === undefined || isSaving} onClick={() => void save()}>
          {t("edit.save")}
        </button>
      </footer>
    </Dialog>
  );
}

function Wrong({ problem, goTo }: { problem: ProblemView; goTo(line: number): void }) {
  const { t } = useApp();
  if (problem.issues.length === 0) return <Problem problem={problem} />;
  return (
    <ul class="issues" aria-label={t("edit.issues")}>
      {problem.issues.map((issue, i) => {
        const { line } = issue;
        return (
          <li key={i}>
            {line !== undefined && (
              <button type="button" class="quiet" onClick={() => goTo(line)}>
                {t("edit.line", { line })}
              </button>
            )}{" "}
            {issue.path !== undefined && <code>{issue.path}</code>} {issue.message} {issue.hint !== undefined && <em>{issue.hint}</em>}
          </li>
        );
      })}
    </ul>
  );
}

/** What would be written, and what fires differently: the rules as they are beside the rules as they would be. */
function Changes({ result, before }: { result: ApplyResult; before: Job | undefined }) {
  const { t } = useApp();
  return (
    <>
      {result.changes.map((change) => (
        <section key={`${change.kind}/${change.key}`} class="change">
          <h3>
            <code>{change.key}</code> {t(`edit.${change.action}`)}
          </h3>
          {change.diff !== undefined && (
            <pre class="diff">
              {change.diff.map((line, i) => (
                <span key={i} class={line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : undefined}>{`${line}\n`}</span>
              ))}
            </pre>
          )}
          {change.rules?.map((rule) => {
            const was = before?.rules.find(({ id }) => id === rule.id);
            const isOther = was === undefined || was.words !== rule.words;
            return (
              <p key={rule.id} class={isOther ? "fires other" : "fires"}>
                <code>{rule.id}</code> {was !== undefined && isOther && <del>{was.words}</del>}{" "}
                {isOther ? <ins>{rule.words}</ins> : rule.words}
                <br />
                <span class="dim">
                  {t("edit.next")} {rule.next.map(dateTime).join(", ") || t("edit.never")}
                </span>
              </p>
            );
          })}
        </section>
      ))}
    </>
  );
}
