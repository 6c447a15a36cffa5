/** `fleetcron global …`: the variables of the cluster that results of jobs and operators set. */
import type { GlobalView } from "../http/global-schema.ts";
import type { Context } from "./context.ts";
import { humanTime, plain } from "./human.ts";
import { type ListOptions, showListing } from "./list.ts";
import { type Column, printOne } from "./output.ts";

export async function listGlobals(context: Context, options: ListOptions): Promise<void> {
  const api = await context.api();
  await showListing(context, options, {
    fetchPage: (page) => api.globals(page),
    name: (view) => view.name,
    columns: globalColumns(context),
    empty: "there are no globals; `fleetcron global set NAME VALUE` and the results of jobs make some",
  });
}

export async function setGlobal(context: Context, name: string, value: string): Promise<void> {
  const view = await (await context.api()).setGlobal(name, { value });
  await printOne(context, view, { name: () => name, text: () => `${name}=${plain(view.value)}\n` });
}

export async function removeGlobals(context: Context, names: readonly string[]): Promise<void> {
  const api = await context.api();
  for (const name of names) {
    const gone = await api.removeGlobal(name);
    await printOne(context, gone, { name: () => name, text: () => `${name} removed\n` });
  }
}

function globalColumns({ clock }: Pick<Context, "clock">): Column<GlobalView>[] {
  return [
    { title: "NAME", cell: (view) => view.name },
    {
      title: "VALUE",
      cell: (view) => plain(view.value.length > 60 ? `${view.value.slice(0, 59)}…` : view.value),
      sort: (view) => view.value,
    },
    { title: "SET", cell: (view) => humanTime(view.at, clock.now()), sort: (view) => view.at },
    { title: "BY", cell: (view) => view.by ?? `${view.job ?? "?"} on ${view.node ?? "?"}` },
  ];
}
