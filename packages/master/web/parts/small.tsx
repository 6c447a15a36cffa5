/** The small parts that every page is made of. All text from the cluster goes in as text, never as markup. */
import type { ComponentChildren } from "preact";
import { type ProblemView, problemView } from "../../src/client/problem.ts";
import { dateTime, shortTime, span } from "../base/format.ts";
import { href } from "../base/router.ts";
import { useApp, useWords } from "../data/context.ts";
import type { Word } from "../i18n/i18n.ts";

/** A time of the past or future: short, with all of it in the tooltip. */
export function Time({ at }: { at: string | null | undefined }) {
  const { now } = useApp();
  if (at === null || at === undefined || at === "") return <span class="dim">–</span>;
  return (
    <time dateTime={at} title={`${dateTime(at)} (${at})`}>
      {shortTime(at, now.value)}
    </time>
  );
}

/** `in 5 min`, `3 h ago`. */
export function Ago({ at }: { at: string | null | undefined }) {
  const { now, t } = useApp();
  if (at === null || at === undefined) return <span class="dim">–</span>;
  const ms = Date.parse(at) - now.value;
  const text = Math.abs(ms) < 1000 ? t("time.now") : t(ms > 0 ? "time.in" : "time.ago", { span: span(Math.round(ms / 1000) * 1000) });
  return (
    <time dateTime={at} title={dateTime(at)}>
      {text}
    </time>
  );
}

export function Span({ ms }: { ms: number | undefined }) {
  return ms === undefined ? <span class="dim">–</span> : <span>{span(ms)}</span>;
}

export type Tone = "good" | "bad" | "warn" | "busy" | "calm";
const MARK: Readonly<Record<Tone, string>> = { good: "✓", bad: "✗", warn: "!", busy: "▶", calm: "·" };

/** Never by colour alone: each tone has its sign. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{MARK[tone]} </span>
      {children}
    </span>
  );
}

export function toneOf(outcome: string | undefined, success: boolean | undefined): Tone {
  if (success === true) return "good";
  if (outcome?.startsWith("skipped")) return "calm";
  return outcome?.startsWith("missed") ? "warn" : success === false ? "bad" : "calm";
}

export function Outcome({ outcome, success }: { outcome: string | undefined; success: boolean | undefined }) {
  return outcome === undefined ? <span class="dim">–</span> : <Badge tone={toneOf(outcome, success)}>{outcome}</Badge>;
}

export function JobLink({ group, id }: { group: string; id: string }) {
  return (
    <a href={href(["jobs", group, id])} class="key">
      <span class="dim">{group}/</span>
      {id}
    </a>
  );
}

export function Labels({ labels }: { labels: Readonly<Record<string, string>> | undefined }) {
  return (
    <>
      {Object.entries(labels ?? {}).map(([name, value]) => (
        <span key={name} class="label">
          {name}={value}
        </span>
      ))}
    </>
  );
}

export function Problem({ problem }: { problem: ProblemView }) {
  return (
    <div class="problem" role="alert">
      <strong>{problem.message}</strong> <code>{problem.code}</code>
      {problem.hint !== undefined && <p>{problem.hint}</p>}
      {problem.issues.length > 0 && (
        <ul>
          {problem.issues.map((issue, i) => (
            <li key={i}>
              {issue.line !== undefined && <span class="line">{issue.line}: </span>}
              {issue.path !== undefined && <code>{issue.path}</code>} {issue.message} {issue.hint !== undefined && <em>{issue.hint}</em>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const t = useWords();
  if (error === undefined) return null;
  return (
    <>
      <Problem problem={problemView(error)} />
      {again !== undefined && (
        <button type="button" onClick={again}>
          {t("do.again")}
        </button>
      )}
    </>
  );
}

/** A part of a page with its heading. */
export function Card({ title, more, children, id }: { title: string; more?: ComponentChildren; children: ComponentChildren; id?: string }) {
  const labelId = `card-${id ?? title.replace(/[^A-Za-z0-9]+/g, "-")}`;
  return (
    <section class="card" aria-labelledby={labelId}>
      <header>
        <h2 id={labelId}>{title}</h2>
        {more}
      </header>
      {children}
    </section>
  );
}

export function Empty({ word }: { word: Word }) {
  const t = useWords();
  return <p class="empty">{t(word)}</p>;
}

export function Loading() {
  const t = useWords();
  return (
    <p class="empty" role="status">
      {t("state.loading")}
    </p>
  );
}

/** Name and value, in two columns. */
export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren] | undefined)[] }) {
  return (
    <dl class="facts">
      {rows
        .filter((row) => row !== undefined)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
