/** Who has changed what, and how it was before. */
import { useState } from "preact/hooks";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { AuditEntry } from "../data/types.ts";
import { Empty, Failure, Loading, Time } from "../parts/small.tsx";

const PAGE = 100;

export function Audit() {
  const { t, api, router } = useApp();
  const { query } = router.route.value;
  const who = query.get("who") ?? "";
  const resource = query.get("resource") ?? "";
  const [older, setOlder] = useState<{ of: string; items: readonly AuditEntry[]; next: string | undefined } | undefined>(undefined);
  const asked = { limit: PAGE, ...(who === "" ? {} : { who }), ...(resource === "" ? {} : { resource }) };
  const of = JSON.stringify(asked);
  const { value, error, again } = useFetched(() => api.audit(asked), [of]);
  const more = older?.of === of ? older : undefined;
  const next = more === undefined ? value?.next : more.next;
  const items = [...(value?.items ?? []), ...(more?.items ?? [])];
  const fetchMore = async () => {
    if (next === undefined) return;
    const page = await api.audit({ ...asked, cursor: next });
    setOlder({ of, items: [...(more?.items ?? []), ...page.items], next: page.next });
  };
  return (
    <>
      <h1>{t("nav.audit")}</h1>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label={t("audit.resource")}
          placeholder={t("audit.resource")}
          value={resource}
          onChange={(event) => router.setQuery("resource", event.currentTarget.value)}
        />
        <input
          type="search"
          aria-label={t("audit.who")}
          placeholder={t("audit.who")}
          value={who}
          onChange={(event) => router.setQuery("who", event.currentTarget.value)}
        />
      </form>
      <Failure error={error} again={again} />
      {value === undefined && error === undefined && <Loading />}
      {value !== undefined && items.length === 0 && <Empty word="audit.none" />}
      <ol class="list audit">
        {items.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ol>
      {next !== undefined && (
        <button type="button" onClick={() => void fetchMore()}>
          {t("do.more")}
        </button>
      )}
    </>
  );
}

function Entry({ entry }: { entry: AuditEntry }) {
  const { t } = useApp();
  return (
    <li>
      <Time at={entry.at} /> <strong>{entry.who.name}</strong> <code>{entry.request}</code> <span class="dim">{entry.remote}</span>
      {entry.changes.map((change, i) => (
        <details key={i}>
          <summary>
            {change.kind} <code>{change.key}</code> {change.action}
          </summary>
          {change.cut === true ? (
            <p>{t("audit.cut")}</p>
          ) : (
            <div class="beside">
              <div>
                <span class="dim">{t("audit.before")}</span>
                <pre>{textOf(change.before)}</pre>
              </div>
              <div>
                <span class="dim">{t("audit.after")}</span>
                <pre>{textOf(change.after)}</pre>
              </div>
            </div>
          )}
        </details>
      ))}
      {entry.more !== undefined && entry.more > 0 && <p class="dim">{t("audit.more", { n: entry.more })}</p>}
    </li>
  );
}

function textOf(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(value, null, 2);
}
