/** Sends a test message at once, from this master, beside the queue, and tells exactly what came back. */
import { toIso } from "fleetcron-shared/base/clock";
import type { Delivery } from "fleetcron-shared/model/notice";
import type { ChannelTest } from "../http/api-schema-channels.ts";
import { findChannel } from "./channels.ts";
import type { Once } from "./once.ts";
import type { OpsDeps } from "./ops-deps.ts";

export async function testChannel(deps: OpsDeps, name: string, by: string, once?: Once): Promise<ChannelTest> {
  const { stored } = await findChannel(deps, name);
  const at = toIso(deps.clock.now());
  const delivery: Delivery = {
    ...{ v: 1, id: once?.id ?? deps.newId(), channel: name, state: "sealed", createdAt: at, omitted: 0, tries: 0 },
    items: [
      {
        notice: {
          ...{ id: "test", at, events: [], severity: "info", title: `A test of channel ${name}: this message has arrived` },
          subject: { kind: "test", group: "", id: name, name },
          data: { askedBy: by, askedAt: at },
        },
        mention: [],
        count: 1,
      },
    ],
  };
  const { ok, text, status, hint, tookMs } = await deps.send(stored.spec, delivery);
  return { ok, delivery: delivery.id, text, tookMs, ...(status === undefined ? {} : { status }), ...(hint === undefined ? {} : { hint }) };
}
