/** `fleetcron channel …`: where notifications go, and what has become of them. */
import type { ChannelView, DeliveryView } from "../http/api-schema-channels.ts";
import { parseId } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanDuration, humanTime, plain } from "./human.ts";
import { type ListOptions, showListing } from "./list.ts";
import { type Column, detailText, printOne, yamlText } from "./output.ts";

export async function listChannels(context: Context, options: ListOptions): Promise<void> {
  const api = await context.api();
  await showListing(context, options, {
    fetchPage: (page) => api.channels(page),
    name: (channel) => channel.name,
    columns: channelColumns(context),
    empty: "there are no channels; `channels:` in a job file makes some",
  });
}

export async function showChannel(context: Context, name: string): Promise<void> {
  const channel = await (await context.api()).channel(parseId(name, "a channel"));
  const now = context.clock.now();
  await printOne(context, channel, {
    name: (view) => view.name,
    text: async (view) =>
      `${detailText(context, [
        ["channel", view.name],
        ["kind", view.kind],
        ["changed", humanTime(view.updatedAt, now)],
        ["waiting", view.waiting],
        ["failed", view.failed],
        ["last try", view.last ?? undefined],
      ])}\n${await yamlText(view.spec)}`,
  });
}

export async function removeChannels(context: Context, names: readonly string[]): Promise<void> {
  const api = await context.api();
  for (const name of names.map((one) => parseId(one, "a channel"))) {
    const gone = await api.deleteChannel(name);
    await printOne(context, gone, { name: () => name, text: () => `channel ${name} deleted\n` });
  }
}

/** Exit code 1 when the message was not accepted. */
export async function testChannel(context: Context, name: string): Promise<void> {
  const result = await (await context.api()).testChannel(parseId(name, "a channel"));
  await printOne(context, result, {
    name: (view) => view.delivery,
    text: (view) => {
      const what = view.ok ? context.paint("green", "delivered") : context.paint("red", "not delivered");
      const hint = view.hint === undefined ? "" : `  to do: ${plain(view.hint)}\n`;
      return `${what} after ${humanDuration(view.tookMs)}: ${plain(view.text)}\n${hint}`;
    },
  });
  if (!result.ok) context.exitWith(1);
}

export type DeliveryOptions = ListOptions & { readonly channel?: string; readonly state?: DeliveryView["state"] };

export async function listDeliveries(context: Context, options: DeliveryOptions): Promise<void> {
  const api = await context.api();
  const query = {
    ...(options.channel === undefined ? {} : { channel: options.channel }),
    ...(options.state === undefined ? {} : { state: options.state }),
  };
  await showListing(context, options, {
    fetchPage: (page) => api.deliveries({ ...query, ...page }),
    defaultLimit: 50,
    name: (delivery) => delivery.id,
    columns: deliveryColumns(context),
    empty: "there are no deliveries that match",
  });
}

export async function retryDeliveries(context: Context, ids: readonly string[]): Promise<void> {
  const api = await context.api();
  for (const id of ids.map((one) => parseId(one, "a delivery"))) {
    const delivery = await api.retryDelivery(id);
    await printOne(context, delivery, {
      name: () => id,
      text: () => `${id} is sent again; \`channel deliveries\` tells what comes of it\n`,
    });
  }
}

function channelColumns({ clock, paint }: Pick<Context, "clock" | "paint">): Column<ChannelView>[] {
  return [
    { title: "CHANNEL", cell: (channel) => channel.name },
    { title: "KIND", cell: (channel) => channel.kind },
    { title: "WAITING", cell: (channel) => String(channel.waiting), sort: (channel) => channel.waiting },
    {
      title: "FAILED",
      cell: (channel) => (channel.failed === 0 ? "0" : paint("red", String(channel.failed))),
      sort: (channel) => channel.failed,
    },
    { title: "CHANGED", cell: (channel) => humanTime(channel.updatedAt, clock.now()), sort: (channel) => channel.updatedAt },
    { title: "LAST TRY", cell: (channel) => shorten(channel.last ?? "-", 60) },
  ];
}

const COLOURS = { open: "dim", sealed: "yellow", delivered: "green", failed: "red" } as const;

function deliveryColumns({ clock, paint }: Pick<Context, "clock" | "paint">): Column<DeliveryView>[] {
  return [
    { title: "DELIVERY", cell: (delivery) => delivery.id },
    { title: "CHANNEL", cell: (delivery) => delivery.channel },
    { title: "STATE", cell: (delivery) => paint(COLOURS[delivery.state], delivery.state) },
    { title: "NOTICES", cell: (delivery) => String(delivery.notices), sort: (delivery) => delivery.notices },
    { title: "TRIES", cell: (delivery) => String(delivery.tries), sort: (delivery) => delivery.tries },
    { title: "AT", cell: (delivery) => humanTime(delivery.nextAt ?? delivery.endedAt ?? delivery.createdAt, clock.now()) },
    { title: "FIRST NOTICE", cell: (delivery) => shorten(delivery.titles[0] ?? "", 50) },
    { title: "LAST TRY", cell: (delivery) => shorten(delivery.last ?? "-", 60) },
  ];
}

function shorten(text: string, max: number): string {
  return plain(text.length > max ? `${text.slice(0, max - 1)}…` : text);
}
