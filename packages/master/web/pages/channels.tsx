/** Where notices go, and what became of those that were sent. */
import { useState } from "preact/hooks";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { useTouches } from "../data/touches.ts";
import type { Delivery } from "../data/types.ts";
import { type Column, Rows } from "../parts/rows.tsx";
import { Ago, Badge, Card, Empty, Failure, Loading, Time, type Tone } from "../parts/small.tsx";

const STATES = ["", "open", "sealed", "delivered", "failed"] as const;
const TONES: Readonly<Record<string, Tone>> = { open: "calm", sealed: "busy", delivered: "good", failed: "bad" };
const AGAIN_MS = 15_000;

export function Channels() {
  const app = useApp();
  const { t, api, now } = app;
  const { mayChange } = useWho();
  const touches = useTouches(({ type }) => type === "channel", []);
  // Deliveries are no events: looked at now and then, while somebody looks.
  const turn = Math.floor(now.value / AGAIN_MS);
  const [state, setState] = useState<(typeof STATES)[number]>("");
  const channels = useFetched(() => api.channels({ limit: 1000 }), [], [touches, turn]);
  const deliveries = useFetched(() => api.deliveries({ limit: 200, ...(state === "" ? {} : { state }) }), [state], [turn]);
  const [testing, setTesting] = useState<string | undefined>(undefined);
  const test = async (name: string) => {
    setTesting(name);
    await act(app, undefined, async () => {
      const result = await api.testChannel(name);
      app.say(result.ok ? "good" : "bad", `${name}: ${result.text}${result.hint === undefined ? "" : ` (${result.hint})`}`);
    });
    setTesting(undefined);
    channels.again();
  };
  const columns: readonly Column<Delivery>[] = [
    { title: t("channel.name"), cell: (one) => one.channel },
    { title: t("node.state"), cell: (one) => <Badge tone={TONES[one.state] ?? "calm"}>{t(`delivery.${one.state}`)}</Badge> },
    { title: t("delivery.notices"), class: "wide", cell: (one) => `${one.notices}: ${one.titles.join("; ")}` },
    { title: t("delivery.last"), class: "wide", cell: (one) => one.last ?? "" },
    { title: t("delivery.tries"), class: "large", cell: (one) => one.tries },
    { title: t("run.created"), cell: (one) => <Ago at={one.createdAt} /> },
    {
      title: "",
      cell: (one) =>
        one.state === "failed" && mayChange ? (
          <button
            type="button"
            class="quiet"
            onClick={() => void act(app, t("delivery.again"), () => api.retryDelivery(one.id)).then(deliveries.again)}
          >
            {t("do.again")}
          </button>
        ) : one.nextAt === undefined ? null : (
          <Time at={one.nextAt} />
        ),
    },
  ];
  return (
    <>
      <h1>{t("nav.channels")}</h1>
      <Card title={t("nav.channels")} id="channels">
        <Failure error={channels.error} again={channels.again} />
        {channels.value === undefined && channels.error === undefined && <Loading />}
        {channels.value?.items.length === 0 && <Empty word="channels.none" />}
        <ul class="list">
          {channels.value?.items.map((channel) => (
            <li key={channel.name}>
              <strong>{channel.name}</strong> <span class="dim">{channel.kind}</span>{" "}
              {channel.waiting > 0 && <Badge tone="busy">{t("channel.waiting", { n: channel.waiting })}</Badge>}{" "}
              {channel.failed > 0 && <Badge tone="bad">{t("channel.failed", { n: channel.failed })}</Badge>}{" "}
              <span class="dim">{channel.last}</span>{" "}
              {mayChange && (
                <button type="button" disabled={testing !== undefined} onClick={() => void test(channel.name)}>
                  {t(testing === channel.name ? "channel.testing" : "channel.test")}
                </button>
              )}
            </li>
          ))}
        </ul>
      </Card>
      <Card
        title={t("delivery.title")}
        more={
          <label>
            {t("node.state")}{" "}
            <select value={state} onChange={(event) => setState(event.currentTarget.value as (typeof STATES)[number])}>
              {STATES.map((one) => (
                <option key={one} value={one}>
                  {one === "" ? t("jobs.show.all") : t(`delivery.${one}`)}
                </option>
              ))}
            </select>
          </label>
        }
      >
        <Failure error={deliveries.error} again={deliveries.again} />
        {deliveries.value?.items.length === 0 && <Empty word="delivery.none" />}
        {(deliveries.value?.items.length ?? 0) > 0 && (
          <Rows label={t("delivery.title")} items={deliveries.value?.items ?? []} columns={columns} keyOf={({ id }) => id} />
        )}
      </Card>
    </>
  );
}
