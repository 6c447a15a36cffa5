/** The bar at the top: where one can go, whether what is shown is live, language, appearance, who is logged in. */
import { span } from "../base/format.ts";
import { href } from "../base/router.ts";
import { type Theme, useApp, useWho } from "../data/context.ts";
import type { Word } from "../i18n/i18n.ts";

const LINKS: readonly { word: Word; path: readonly string[]; admin?: true }[] = [
  { word: "nav.overview", path: [] },
  { word: "nav.jobs", path: ["jobs"] },
  { word: "nav.executions", path: ["executions"] },
  { word: "nav.nodes", path: ["nodes"] },
  { word: "nav.pipelines", path: ["pipelines"] },
  { word: "nav.runs", path: ["runs"] },
  { word: "nav.forecast", path: ["forecast"] },
  { word: "nav.channels", path: ["channels"] },
  { word: "nav.tokens", path: ["tokens"], admin: true },
  { word: "nav.audit", path: ["audit"], admin: true },
];
const NEXT_THEME: Readonly<Record<Theme, Theme>> = { auto: "light", light: "dark", dark: "auto" };

export function Header({ current, onHelp }: { current: Word | undefined; onHelp(): void }) {
  const { t, lang, theme, session } = useApp();
  const { who, isAdmin } = useWho();
  return (
    <header class="top">
      <a class="brand" href={href([])}>
        Fleetcron
      </a>
      <nav aria-label={t("nav.label")}>
        {LINKS.filter((link) => link.admin !== true || isAdmin).map(({ word, path }) => (
          <a key={word} href={href(path)} aria-current={word === current ? "page" : undefined}>
            {t(word)}
          </a>
        ))}
      </nav>
      <div class="tools">
        <Connection />
        <button
          type="button"
          class="quiet"
          title={t("theme.switch")}
          aria-label={`${t("theme.switch")}: ${t(`theme.${theme.value}`)}`}
          onClick={() => {
            theme.value = NEXT_THEME[theme.value];
          }}
        >
          {{ auto: "◐", light: "☀", dark: "☾" }[theme.value]}
        </button>
        <button
          type="button"
          class="quiet"
          lang={lang.value === "en" ? "zh-CN" : "en"}
          onClick={() => {
            lang.value = lang.value === "en" ? "zh" : "en";
          }}
        >
          {lang.value === "en" ? "中文" : "English"}
        </button>
        <button type="button" class="quiet" aria-label={t("help.title")} title={t("help.title")} onClick={onHelp}>
          ?
        </button>
        <span class="who" title={t(`role.${who?.role ?? "viewer"}`)}>
          {who?.name}
        </span>
        <button type="button" class="quiet" onClick={() => void session.logout()}>
          {t("do.logout")}
        </button>
      </div>
    </header>
  );
}

function Connection() {
  const { live, now, t } = useApp();
  const state = live.value?.state.value ?? "connecting";
  const problem = live.value?.problem.value;
  return (
    <span class={`connection ${state}`} role="status" title={problem?.text}>
      <span aria-hidden="true">●</span> {t(`live.${state}`)}
      {problem !== undefined && ` ${span(Math.max(0, Math.round((now.value - problem.sinceMs) / 1000) * 1000))}`}
    </span>
  );
}
