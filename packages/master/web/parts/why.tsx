/** Why did it (not) run? The answer of the master for the newest tick or one that is asked for. */
import { useState } from "preact/hooks";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { Job } from "../data/types.ts";
import { Badge, Card, Failure, Loading, Time, type Tone } from "./small.tsx";

const TONE: Readonly<Record<string, Tone>> = {
  fired: "good",
  running: "busy",
  claimed: "busy",
  missed: "bad",
  lost: "bad",
  skipped: "warn",
  noNode: "bad",
};

export function WhyCard({ job, touches }: { job: Job; touches: number }) {
  const { t, api, router } = useApp();
  const asked = router.route.value.query.get("at") ?? "";
  const [text, setText] = useState(asked);
  const { value, error } = useFetched(
    () => api.why(job, asked === "" ? {} : { at: asked }),
    [job.group, job.id, asked],
    [touches, job.revision],
  );
  const records = value?.records ?? [];
  return (
    <Card title={t("why.title")}>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          const at = text === "" ? "" : new Date(text);
          router.setQuery("at", at === "" || Number.isNaN(at.getTime()) ? "" : at.toISOString());
        }}
      >
        <label>
          {t("why.at")}
          <input type="datetime-local" step="1" value={localText(text)} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit">{t("why.ask")}</button>
      </form>
      <Failure error={error} />
      {value === undefined && error === undefined && <Loading />}
      {value !== undefined && (
        <div class="why">
          <p>
            <Badge tone={TONE[value.verdict] ?? "calm"}>{t(`why.${value.verdict}`)}</Badge>{" "}
            {value.dueAt !== null && <Time at={value.dueAt} />}
          </p>
          <p>{value.text}</p>
          {value.facts.length > 0 && (
            <ul>
              {value.facts.map((fact) => (
                <li key={fact}>{fact}</li>
              ))}
            </ul>
          )}
          {[...new Set(records.map(({ execution }) => execution))].map((execution) => (
            <p key={execution}>
              <a href={href(["executions", execution], { job: `${job.group}/${job.id}` })}>{t("why.log")}</a>
            </p>
          ))}
        </div>
      )}
    </Card>
  );
}

/** As the browser's field wants it: local time without a zone. */
function localText(text: string): string {
  if (!text.endsWith("Z")) return text;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
