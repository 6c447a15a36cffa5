/** Fills the feed of live changes (event-feed.ts): from the views for what is held in memory, from two tails for records and runs of pipelines. */
import { asError } from "fleetcron-shared/base/errors";
import { kindsOf } from "fleetcron-shared/model/channel";
import { isVoid } from "fleetcron-shared/model/missed";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { summaryOf } from "fleetcron-shared/model/record-summary";
import type { Revision, WatchEvent } from "fleetcron-shared/store/kv";
import type { MirrorDeps } from "fleetcron-shared/store/mirror";
import type { View, ViewChange } from "fleetcron-shared/store/view";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { EventKind } from "../http/event-schema.ts";
import type { NodeEntry } from "../views.ts";
import { createEventFeed, type EventFeed, type FeedChange } from "./event-feed.ts";
import { runSummary } from "./find-run.ts";
import { jobView } from "./job-view.ts";
import { executionView } from "./list-executions.ts";
import { nodeView } from "./node-view.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { pipelineView } from "./pipelines.ts";
import { openTail, type Tail } from "./tail.ts";

export type Events = {
  /** Undefined until the views are there. */
  feed(): EventFeed | undefined;
  /** Of the etcd that revisions are of. */
  clusterId(): string;
  close(): Promise<void>;
};

type EventDeps = MirrorDeps & Pick<OpsDeps, "keys" | "views" | "timetable">;
type Source = {
  revision(): Revision;
  begin(add: (changes: readonly FeedChange[], revision: Revision) => void, forget: () => void): void;
};

export function openEvents(deps: EventDeps): Events {
  const { kv, keys, views } = deps;
  let opened: { feed: EventFeed; clusterId: string } | undefined;
  const ends: (() => unknown)[] = [];
  let isClosed = false;

  /** Changes of a view, each as what `toChange` makes of its key's parts. */
  function fromView<T>(view: View<T>, toChange: (parts: string[], change: ViewChange<T>) => FeedChange | undefined): Source {
    return {
      revision: view.revision,
      begin: (add) => {
        const follow = (changes: readonly ViewChange<T>[], revision: Revision) =>
          add(changes.map((change) => toChange(keys.parts(change.key), change)).filter(isThere), revision);
        ends.push(view.onChange(follow));
      },
    };
  }

  function fromTail(prefix: string, after: Revision, toChange: (event: WatchEvent) => FeedChange | undefined): Source {
    let tail: Tail | undefined;
    return {
      revision: () => tail?.revision() ?? after,
      begin: (add, forget) => {
        const onEvents = (events: readonly WatchEvent[], revision: Revision) => add(events.map(toChange).filter(isThere), revision);
        tail = openTail(deps, { prefix, after, onEvents, onLost: forget });
        ends.push(tail.close);
      },
    };
  }

  const named = <T>(kind: EventKind, show: (value: T) => unknown) => {
    return ([, group = "", id = ""]: string[], { value }: ViewChange<T>): FeedChange => ({
      ...{ kind, key: `${group}/${id}`, group },
      value: () => (value === undefined ? undefined : show(value)),
    });
  };
  /** Of the whole cluster. */
  const common = <T>(kind: EventKind, show: (value: T) => unknown, isOpen = false) => {
    return ([family = "", id = family]: string[], { value }: ViewChange<T>): FeedChange => ({
      ...{ kind, key: id, group: undefined, isOpen },
      value: () => (value === undefined ? undefined : show(value)),
    });
  };
  /** A node is told of anew when its registration, its presence or its conditions change. */
  const ofNode = ([, id = ""]: string[]): FeedChange => ({
    ...{ kind: "node", key: id, group: undefined, isOpen: true },
    value: () => {
      const entry: NodeEntry | undefined = views.nodes.get(keys.node(id));
      return entry === undefined ? undefined : nodeView(deps, entry);
    },
  });

  const sourcesAfter = (revision: Revision): Source[] => [
    fromView(
      views.jobs,
      named("job", (entry) => jobView(deps, entry)),
    ),
    fromView(
      views.stats,
      named("stats", ({ stats: { v: _, ...stats } }) => stats),
    ),
    fromView(views.nodes, ofNode),
    fromView(views.alive, ofNode),
    fromView(views.conditions, ofNode),
    fromView(views.procs, ([, node = "", group = "", job = "", process = ""], { value }) => ({
      ...{ kind: "execution", key: `${node}/${group}/${job}/${process}`, group },
      value: () => (value === undefined ? undefined : executionView(value)),
    })),
    fromView(
      views.channels,
      common("channel", ({ stored, revision: at }) => ({
        ...{ name: stored.name, kind: kindsOf(stored.spec)[0], revision: at, createdAt: stored.createdAt, updatedAt: stored.updatedAt },
      })),
    ),
    fromView(views.pipelines, named("pipeline", pipelineView)),
    fromView(
      views.globals,
      common("global", ({ v: _, ...view }) => view),
    ),
    fromView(
      views.leader,
      common("leader", ({ v: _, ...leader }) => leader, true),
    ),
    fromTail(keys.records, revision, (event) => {
      // Records are deleted by age: that is no news.
      if (event.type === "delete") return undefined;
      const record = tryDecode<ExecutionRecord>(event.kv.key, event.kv.value);
      const summary = record === undefined ? undefined : summaryOf(record);
      // A verdict that was taken back is gone.
      const value = record !== undefined && isVoid(record) ? undefined : summary;
      return summary && { kind: "record", key: summary.id, group: summary.group, value: () => value };
    }),
    fromTail(keys.runs, revision, (event) => {
      const [, group = "", , id = ""] = keys.parts(event.type === "put" ? event.kv.key : event.key);
      const run = event.type === "put" ? tryDecode<RunDocument>(event.kv.key, event.kv.value) : undefined;
      const summary = run === undefined ? undefined : runSummary(run);
      return { kind: "run", key: id, group, value: () => summary };
    }),
  ];

  async function open(): Promise<void> {
    await views.synced;
    const { revision, clusterId } = await kv.range({ start: keys.meta, end: `${keys.meta}\0`, countOnly: true });
    if (isClosed) return;
    const sources = sourcesAfter(revision);
    const feed = createEventFeed(sources);
    for (const [index, source] of sources.entries()) source.begin((changes, at) => feed.add(index, changes, at), feed.forget);
    opened = { feed, clusterId };
  }

  const opening = open().catch((error: unknown) => {
    if (!isClosed) deps.log.error({ err: asError(error) }, "the feed of live changes did not begin");
  });
  return {
    feed: () => opened?.feed,
    clusterId: () => opened?.clusterId ?? "",
    async close() {
      isClosed = true;
      opened?.feed.close();
      await opening;
      await Promise.all(ends.map((end) => end()));
    },
  };
}

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}
