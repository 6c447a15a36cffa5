/** The keys, and how cron expressions are written here. */
import { useApp } from "../data/context.ts";
import type { Word } from "../i18n/i18n.ts";
import { Dialog } from "../parts/dialog.tsx";

const KEYS: readonly (readonly [string, Word])[] = [
  ["/", "help.search"],
  ["j  k", "help.rows"],
  ["Enter", "help.enter"],
  ["g o", "nav.overview"],
  ["g j", "nav.jobs"],
  ["g e", "nav.executions"],
  ["g n", "nav.nodes"],
  ["g p", "nav.pipelines"],
  ["g r", "nav.runs"],
  ["g f", "nav.forecast"],
  ["g c", "nav.channels"],
  ["g t", "nav.tokens"],
  ["g a", "nav.audit"],
  ["?", "help.title"],
  ["Esc", "do.close"],
];
const TIMERS: readonly (readonly [string, Word])[] = [
  ["30 2 * * *", "cron.daily"],
  ["*/5 * * * *", "cron.five"],
  ["0 9 * * 1-5", "cron.workdays"],
  ["0 0 L * *", "cron.lastDay"],
  ["H H * * *", "cron.hash"],
  ["*/10 * * * * *", "cron.seconds"],
  ["@hourly", "cron.hourly"],
  ["@every 90s", "cron.every"],
];

export function Help({ onClose }: { onClose(): void }) {
  const { t } = useApp();
  return (
    <Dialog title={t("help.title")} onClose={onClose} wide>
      <h3>{t("help.keys")}</h3>
      <dl class="keys">
        {KEYS.map(([keys, word]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{t(word)}</dd>
          </div>
        ))}
      </dl>
      <h3>{t("help.cron")}</h3>
      <p>{t("cron.fields")}</p>
      <dl class="keys">
        {TIMERS.map(([timer, word]) => (
          <div key={timer}>
            <dt>
              <code>{timer}</code>
            </dt>
            <dd>{t(word)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
