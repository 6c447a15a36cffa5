/** A fleet of hand-made agents that carry out orders as a test decides, and count what they were told: for tests of the master's pipelines. */
import { systemClock } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import type { Order } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Kv } from "fleetcron-shared/store/kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { decode } from "fleetcron-shared/wire/codec";
import { type FakeAgent, joinFleet, keys, someRecord } from "./fake-agent.ts";

export type RunOrder = Extract<Order, { type: "run" }>;
/** What a task comes to: its record differs from a success by this. */
export type Ends = Partial<ExecutionRecord>;

export type OrderWorker = {
  readonly agents: ReadonlyMap<string, FakeAgent>;
  /** Every order to run that came, in order. */
  readonly orders: readonly { readonly node: string; readonly order: RunOrder }[];
  /** How often each task was ordered. */
  count(task: string): number;
  readonly kills: readonly string[];
  /** The nodes go offline. */
  [Symbol.asyncDispose](): Promise<void>;
};

export const failed = (code = 1): Ends => ({ success: false, outcome: { type: "exit", code } });

/** `act` runs an order: what it resolves with is delivered; undefined delivers nothing, until a kill comes. */
export async function startOrderWorker(
  kv: Kv,
  nodes: Readonly<Record<string, Record<string, string>>>,
  act: (order: RunOrder, node: string) => Promise<Ends | undefined> | Ends | undefined,
): Promise<OrderWorker> {
  const agents = new Map<string, FakeAgent>();
  for (const [id, labels] of Object.entries(nodes)) agents.set(id, await joinFleet(kv, id, labels));
  const orders: { node: string; order: RunOrder }[] = [];
  const kills: string[] = [];
  const running = new Map<string, { node: string; order: RunOrder }>();
  const seen = new Set<string>();

  async function deliver(node: string, order: RunOrder, more: Ends): Promise<void> {
    if (!running.delete(order.execution)) return;
    await agents
      .get(node)
      ?.deliver(someRecord(node, `${order.group}/${order.job}`, { execution: order.execution, orderId: order.id, ...more }));
  }

  const mirror = openMirror(
    { kv, clock: systemClock, random: systemRandom, log: silentLog },
    {
      prefix: keys.ordersAll,
      onEvents(events) {
        for (const event of events) {
          if (event.type !== "put") continue;
          const order = decode<Order>(event.kv.key, event.kv.value);
          const [, node = ""] = keys.parts(event.kv.key);
          // Orders stay: those for the nodes of others are none of ours.
          if (!agents.has(node) || seen.has(`${node} ${order.id}`)) continue;
          seen.add(`${node} ${order.id}`);
          if (order.type === "kill") {
            kills.push(order.execution);
            const held = running.get(order.execution);
            const outcome = { type: "killed", by: order.by, reason: order.reason } as const;
            if (held !== undefined) void deliver(held.node, held.order, { success: false, outcome });
          }
          if (order.type !== "run") continue;
          orders.push({ node, order });
          running.set(order.execution, { node, order });
          void Promise.resolve(act(order, node)).then((ends) => (ends === undefined ? undefined : deliver(node, order, ends)));
        }
      },
    },
  );
  await mirror.synced;
  return {
    agents,
    orders,
    kills,
    count: (task) => orders.filter(({ order }) => order.env?.FLEETCRON_TASK === task).length,
    async [Symbol.asyncDispose]() {
      await mirror.close();
      for (const agent of agents.values()) await agent.vanish();
    },
  };
}
