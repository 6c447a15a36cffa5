/** One node: what it is, what it runs, its labels; drain and undrain. */
import { useState } from "preact/hooks";
import { href } from "../base/router.ts";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { useTouches } from "../data/touches.ts";
import type { NodeDetail } from "../data/types.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Ago, Badge, Card, Empty, Facts, Failure, Labels, Loading, Time } from "../parts/small.tsx";
import { NodeState } from "./nodes.tsx";

export function NodePage() {
  const { router, api, t } = useApp();
  const id = router.route.value.path[1] ?? "";
  const touches = useTouches(
    ({ type, data }) => (type === "node" && data.key === id) || (type === "execution" && data.key.startsWith(`${id}/`)),
    [id],
  );
  const { value: node, error, again } = useFetched(() => api.node(id), [id], [touches]);
  if (node === undefined) {
    return (
      <>
        <h1>{id}</h1>
        {error === undefined ? <Loading /> : <Failure error={error} again={again} />}
      </>
    );
  }
  return (
    <>
      <Title node={node} again={again} />
      <Failure error={error} />
      <div class="columns">
        <Card title={t("node.about")}>
          <Facts
            rows={[
              [t("node.host"), `${node.hostname} ${node.addresses.join(", ")}`],
              [t("node.version"), node.version],
              [t("node.running"), `${node.running} / ${node.capacity}`],
              [t("node.queued"), node.queued],
              [t("node.since"), <Ago at={node.onlineSince} />],
              [t("node.started"), <Time at={node.startedAt} />],
              node.drain === undefined
                ? undefined
                : [
                    t("node.drain"),
                    <>
                      {node.drain.by} <Ago at={node.drain.at} />
                    </>,
                  ],
              node.freeAt === null ? undefined : [t("node.freeAt"), <Time at={node.freeAt} />],
            ]}
          />
        </Card>
        <NodeLabels node={node} again={again} />
        <Card title={t("node.executions")}>
          {node.executions.length === 0 ? (
            <Empty word="overview.nothingRuns" />
          ) : (
            <ul class="list">
              {node.executions.map((work) => (
                <li key={work.execution}>
                  <a href={href(["executions", work.execution], { job: `${work.group}/${work.job}` })}>
                    {work.group}/{work.job}
                  </a>{" "}
                  <Ago at={work.startedAt} />{" "}
                  {work.freeAt !== null && (
                    <span class="dim">
                      {t("node.freeAt")} <Time at={work.freeAt} />
                    </span>
                  )}
                </li>
              ))}
            </ul>
          )}
        </Card>
        {node.conditions.length > 0 && (
          <Card title={t("node.conditions")}>
            <ul class="list">
              {node.conditions.map((condition) => (
                <li key={condition.type}>
                  <Badge tone={condition.status === "False" ? "warn" : "calm"}>
                    {condition.type}: {condition.status}
                  </Badge>{" "}
                  {condition.message} <Ago at={condition.at} />
                </li>
              ))}
            </ul>
          </Card>
        )}
      </div>
    </>
  );
}

function Title({ node, again }: { node: NodeDetail; again(): void }) {
  const app = useApp();
  const { t, api } = app;
  const { mayChange } = useWho();
  const [isAsking, setAsking] = useState(false);
  return (
    <div class="title">
      <h1>
        {node.id} <NodeState node={node} />
      </h1>
      {mayChange && (
        <div class="actions">
          {node.draining ? (
            <button type="button" onClick={() => void act(app, t("node.isUndrained"), () => api.undrainNode(node.id)).then(again)}>
              {t("do.undrain")}
            </button>
          ) : (
            <button type="button" onClick={() => setAsking(true)}>
              {t("do.drain")}
            </button>
          )}
        </div>
      )}
      {isAsking && (
        <Confirm
          title={t("drain.title", { node: node.id })}
          text={t("drain.text")}
          action={t("do.drain")}
          onDone={() => setAsking(false)}
          onYes={async () => {
            const isDone = await act(app, t("node.isDraining"), () => api.drainNode(node.id));
            again();
            return isDone;
          }}
        />
      )}
    </div>
  );
}

function NodeLabels({ node, again }: { node: NodeDetail; again(): void }) {
  const app = useApp();
  const { t, api } = app;
  const { mayChange } = useWho();
  const [text, setText] = useState("");
  const change = async (body: Parameters<typeof api.labelNode>[1]) => {
    const isDone = await act(app, t("node.isLabelled"), () => api.labelNode(node.id, body));
    if (isDone) setText("");
    again();
  };
  return (
    <Card title={t("job.labels")}>
      <p>
        <Labels labels={node.agentLabels} />{" "}
        {Object.entries(node.apiLabels).map(([name, value]) => (
          <span key={name} class="label own">
            {name}={value}
            {mayChange && (
              <button type="button" class="quiet" aria-label={t("node.unlabel", { name })} onClick={() => void change({ remove: [name] })}>
                ✕
              </button>
            )}
          </span>
        ))}
      </p>
      {mayChange && (
        <form
          class="inline"
          onSubmit={(event) => {
            event.preventDefault();
            const [name = "", ...value] = text.split("=");
            if (name.trim() !== "") void change({ set: { [name.trim()]: value.join("=").trim() } });
          }}
        >
          <input
            type="text"
            aria-label={t("node.newLabel")}
            placeholder="role=db"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit">{t("node.addLabel")}</button>
        </form>
      )}
    </Card>
  );
}
