/** The fleet's nodes: who is there, how busy, with which labels. */
import { useMemo } from "preact/hooks";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { matchesWords } from "../data/filter.ts";
import { useList } from "../data/list.ts";
import type { Node } from "../data/types.ts";
import { type Column, Rows } from "../parts/rows.tsx";
import { Ago, Badge, Empty, Failure, Labels, Loading } from "../parts/small.tsx";

export function NodeState({ node }: { node: Pick<Node, "online" | "draining" | "drained"> }) {
  const { t } = useApp();
  if (!node.online) return <Badge tone="bad">{t("node.offline")}</Badge>;
  if (node.drained) return <Badge tone="warn">{t("node.drained")}</Badge>;
  return node.draining ? <Badge tone="warn">{t("node.draining")}</Badge> : <Badge tone="good">{t("node.online")}</Badge>;
}

export function Nodes() {
  const { t, fleet, router } = useApp();
  const { items, state, error } = useList(fleet.nodes);
  const text = router.route.value.query.get("q") ?? "";
  const shown = useMemo(() => {
    const textOf = (node: Node) =>
      [node.id, node.hostname, ...Object.entries(node.labels).map((pair) => pair.join("="))].join(" ").toLowerCase();
    return items.filter((node) => matchesWords(textOf(node), text)).sort((a, b) => (a.id < b.id ? -1 : 1));
  }, [items, text]);
  const columns: readonly Column<Node>[] = [
    {
      title: t("record.node"),
      class: "wide",
      cell: (node) => (
        <>
          <a href={href(["nodes", node.id])}>{node.id}</a> {node.hostname !== node.id && <span class="dim">{node.hostname}</span>}
        </>
      ),
    },
    { title: t("node.state"), cell: (node) => <NodeState node={node} /> },
    { title: t("node.running"), cell: (node) => `${node.running}${node.queued > 0 ? ` + ${node.queued}` : ""} / ${node.capacity}` },
    { title: t("job.labels"), class: "wide", cell: (node) => <Labels labels={node.labels} /> },
    { title: t("node.version"), class: "large", cell: (node) => node.version },
    { title: t("node.since"), class: "large", cell: (node) => <Ago at={node.onlineSince} /> },
  ];
  return (
    <>
      <h1>
        {t("nav.nodes")} <span class="count">{shown.length === items.length ? items.length : `${shown.length} / ${items.length}`}</span>
      </h1>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label={t("nodes.search")}
          placeholder={t("nodes.search")}
          value={text}
          onInput={(event) => router.setQuery("q", event.currentTarget.value)}
        />
      </form>
      <Failure error={error} again={fleet.nodes.renew} />
      {state === "loading" ? (
        <Loading />
      ) : shown.length === 0 ? (
        <Empty word="nodes.none" />
      ) : (
        <Rows label={t("nav.nodes")} items={shown} columns={columns} keyOf={({ id }) => id} />
      )}
    </>
  );
}
