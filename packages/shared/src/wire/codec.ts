/** Values are JSON with `v: 1`. Our own writes are trusted in shape; what cannot be read is reported, never guessed. */
import { AppError } from "../base/errors.ts";

export function encode<T extends { readonly v: 1 }>(value: T): string {
  return JSON.stringify(value);
}

/** The value of `key`; throws `internal/bug` with the key when it is not JSON of version 1. */
export function decode<T extends { readonly v: 1 }>(key: string, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError("internal/bug", `the value of ${key} is not JSON`, { cause, hint: "something else writes under this prefix" });
  }
  if (typeof value !== "object" || value === null || (value as { v?: unknown }).v !== 1) {
    throw new AppError("internal/bug", `the value of ${key} has an unknown version`, {
      hint: "a newer Fleetcron wrote it; upgrade this program",
    });
  }
  return value as T;
}

/** Like `decode`, but undefined for what cannot be read. */
export function tryDecode<T extends { readonly v: 1 }>(key: string, text: string): T | undefined {
  try {
    return decode<T>(key, text);
  } catch {
    return undefined;
  }
}
