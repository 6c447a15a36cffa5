/** What was done and what failed, at the lower edge of the page. Failures stay until they are put away. */
import { useApp } from "../data/context.ts";
import { Problem } from "./small.tsx";

export function Notices() {
  const { notices, t } = useApp();
  return (
    <div class="notices" role="region" aria-label={t("notices.label")} aria-live="polite">
      {notices.value.map((notice) => (
        <div key={notice.id} class={`notice ${notice.kind}`}>
          {notice.problem === undefined ? <span>{notice.text}</span> : <Problem problem={notice.problem} />}
          <button
            type="button"
            class="quiet"
            aria-label={t("do.close")}
            onClick={() => {
              notices.value = notices.value.filter(({ id }) => id !== notice.id);
            }}
          >
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
