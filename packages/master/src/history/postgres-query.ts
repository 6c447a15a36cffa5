/** What queries of records have in common: their conditions, their order, their names. */
import { createHash } from "node:crypto";
import type { Place, RecordQuery } from "./history.ts";
import { outcomeColumn } from "./match.ts";

export const ORDER = "ORDER BY end_ms DESC, id DESC";

/** Planning for many partitions takes longer than the page: it is done once for a kind of query. */
export function nameOf(text: string): string {
  return `page-${createHash("sha256").update(text).digest("hex").slice(0, 24)}`;
}

/** All of the query but its text; the values are the first parameters. */
export function conditions(query: Omit<RecordQuery, "limit"> & { readonly before?: Place | undefined }): {
  where: string;
  values: unknown[];
} {
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (value: unknown) => `$${values.push(value)}`;
  const { job, group, node, outcome, sinceMs, untilMs, before } = query;
  for (const [column, value] of Object.entries({ job, grp: group, node })) if (value !== undefined) where.push(`${column} = ${add(value)}`);
  if (outcome !== undefined) {
    const { column, value } = outcomeColumn(outcome);
    where.push(`${column} = ${add(value)}`);
  }
  if (sinceMs !== undefined) where.push(`end_ms >= ${add(Math.floor(sinceMs))}`);
  if (untilMs !== undefined) where.push(`end_ms < ${add(Math.ceil(untilMs))}`);
  if (before !== undefined) {
    // The first condition says nothing new, but chooses partitions.
    where.push(`end_ms <= ${add(before.endMs)}`, `(end_ms, id) < (${add(before.endMs)}, ${add(before.id)})`);
  }
  return { where: where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`, values };
}
