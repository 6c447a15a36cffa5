/** What all listings share: page through what the master has, keep a group, sort, show. */
import { AppError } from "fleetcron-shared/base/errors";
import { suggestHint } from "fleetcron-shared/base/suggest";
import { collectPages } from "../client/api.ts";
import type { Context } from "./context.ts";
import { type ListShape, printList, sortByColumn } from "./output.ts";

/** The options of every listing. */
export type ListOptions = { readonly limit?: number; readonly sort?: string; readonly group?: string };

type Listing<T> = ListShape<T> & {
  readonly fetchPage: (query: { limit: number; cursor?: string }) => Promise<{ items: readonly T[]; next?: string | undefined }>;
  readonly groupOf?: (item: T) => string;
  /** When no --limit is given. */
  readonly defaultLimit?: number;
};

export async function showListing<T>(context: Context, options: ListOptions, listing: Listing<T>): Promise<void> {
  const { groupOf, columns } = listing;
  const { group, sort } = options;
  const keep = group === undefined || groupOf === undefined ? undefined : (item: T) => groupOf(item) === group;
  const fetchPage = (limit: number, cursor: string | undefined) => listing.fetchPage(cursor === undefined ? { limit } : { limit, cursor });
  const page = await collectPages(fetchPage, options.limit ?? listing.defaultLimit ?? Number.POSITIVE_INFINITY, keep);
  if (sort === undefined) return printList(context, page, listing);
  const items = sortByColumn(page.items, columns, sort);
  if (items === undefined) {
    const titles = columns.map((column) => column.title.toLowerCase());
    throw new AppError("input/usage", `--sort "${sort}" is none of the columns`, { hint: suggestHint(sort.replace(/^-/, ""), titles) });
  }
  await printList(context, { ...page, items }, listing);
}
