/** What the main thread and the thread of the SQLite file say to each other. */
import type { SqliteStore } from "./sqlite-store.ts";

export type ToSqlite = { readonly id: number; readonly call: keyof SqliteStore | "open"; readonly args: readonly unknown[] };

/** `refused`: trying again does not help. */
export type FromSqlite =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly refused?: boolean; readonly hint?: string };
