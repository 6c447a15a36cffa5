/** Deliveries of notifications: list, and retry what was given up. The leader's notifier writes all else of them. */
import { AppError } from "fleetcron-shared/base/errors";
import { type Delivery, noticeCount } from "fleetcron-shared/model/notice";
import { unchanged } from "fleetcron-shared/store/kv";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { DeliveryPage, DeliveryView } from "../http/api-schema-channels.ts";
import { revived } from "../notify/deliveries.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { pageByKey } from "./page.ts";
import { scanPrefix } from "./scan.ts";
import { putUnder } from "./settle.ts";

type DeliveryDeps = Pick<OpsDeps, "kv" | "keys" | "clock">;
export type DeliveryQuery = {
  readonly channel?: string | undefined;
  readonly state?: Delivery["state"] | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
};

/** Of one channel, or of all; there are never many. */
export async function readDeliveries(deps: Pick<DeliveryDeps, "kv" | "keys">, channel: string | undefined): Promise<Delivery[]> {
  const found: Delivery[] = [];
  for await (const kv of scanPrefix(deps.kv, channel === undefined ? deps.keys.deliveries : deps.keys.deliveriesOf(channel))) {
    const delivery = tryDecode<Delivery>(kv.key, kv.value);
    if (delivery !== undefined) found.push(delivery);
  }
  return found;
}

/** Newest first. */
export async function listDeliveries(deps: DeliveryDeps, query: DeliveryQuery): Promise<DeliveryPage> {
  const all = (await readDeliveries(deps, query.channel)).filter(({ state }) => query.state === undefined || state === query.state);
  // Ids sort by time; turned round, the newest come first.
  const { items, ...rest } = pageByKey(all, ({ id, channel }) => `${turned(id)} ${channel}`, query);
  return { ...rest, items: items.map(deliveryView) };
}

/** Sends a failed delivery again, under its id. Throws `delivery/not-found`, `delivery/not-failed`. */
export async function retryDelivery(deps: DeliveryDeps, id: string): Promise<DeliveryView> {
  const found = (await readDeliveries(deps, undefined)).find((one) => one.id === id);
  const key = found === undefined ? undefined : deps.keys.delivery(found.channel, id);
  const kv = key === undefined ? undefined : await deps.kv.get(key);
  if (key === undefined || kv === undefined) {
    throw new AppError("delivery/not-found", `there is no delivery ${id}`, {
      hint: "failed ones are kept for a day; see `fleetcron channel deliveries`",
    });
  }
  const delivery = tryDecode<Delivery>(key, kv.value);
  if (delivery?.state !== "failed") {
    const hint = delivery?.state === "delivered" ? "it was delivered" : "it is still being tried";
    throw new AppError("delivery/not-failed", `delivery ${id} has not failed`, { hint });
  }
  const next = revived(delivery, deps.clock.now());
  if ((await putUnder(deps.kv, unchanged(key, kv.modRevision), key, encode(next))) === undefined)
    throw new AppError("write/conflict", `delivery ${id} was changed meanwhile`);
  return deliveryView(next);
}

function deliveryView(delivery: Delivery): DeliveryView {
  const { id, channel, state, createdAt, tries, nextAt, endedAt, last, items } = delivery;
  return {
    ...{ id, channel, state, createdAt, notices: noticeCount(delivery), titles: items.map(({ notice }) => notice.title), tries },
    ...(nextAt === undefined ? {} : { nextAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(last === undefined ? {} : { last }),
  };
}

/** Sorts the other way round. */
function turned(id: string): string {
  return [...id].map((char) => String.fromCharCode(0x7e - char.charCodeAt(0) + 0x20)).join("");
}
