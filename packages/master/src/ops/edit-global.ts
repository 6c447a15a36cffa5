/** Globals as operators set and remove them. A result of a job that ends later replaces what was set. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { suggest } from "fleetcron-shared/base/suggest";
import type { GlobalValue } from "fleetcron-shared/model/facts";
import { isResultName, isResultValue, RESULT_LIMITS } from "fleetcron-shared/model/result";
import type { Revision } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { type GlobalEntry, globalEntry } from "../views.ts";
import { checkRevision, conditionOf } from "./if-revision.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { settle } from "./settle.ts";

/** Throws `input/invalid`. */
export async function setGlobal(deps: OpsDeps, name: string, value: string, by: string, ifRevision?: Revision): Promise<GlobalEntry> {
  if (!isResultName(name))
    throw new AppError("input/invalid", `"${name}" is not the name of a global`, {
      hint: "1 to 63 letters, digits and _, no digit first; those that begin with FLEETCRON_ are taken",
    });
  if (!isResultValue(value))
    throw new AppError("input/invalid", `the value of ${name} holds a NUL character or is larger than ${RESULT_LIMITS.valueBytes} bytes`);
  const key = deps.keys.global(name);
  const stored: GlobalValue = { v: 1, value, at: toIso(deps.clock.now()), by };
  const text = encode(stored);
  const condition = ifRevision === undefined ? [] : [conditionOf(key, ifRevision)];
  const { succeeded, revision } = await settle(deps.kv, { if: condition, then: [{ op: "put", key, value: text }] });
  if (!succeeded) {
    checkRevision(`the global ${name}`, ifRevision, (await deps.kv.get(key))?.modRevision ?? 0);
    throw new AppError("write/conflict", `the global ${name} was changed this moment`, { hint: "repeat the change" });
  }
  await deps.views.globals.reached(revision);
  return globalEntry(deps.keys, { key, value: text, modRevision: revision });
}

/** Throws `global/not-found`. */
export async function removeGlobal(deps: OpsDeps, name: string, ifRevision?: Revision): Promise<string> {
  const key = deps.keys.global(name);
  const { succeeded, revision } = await settle(deps.kv, { if: [conditionOf(key, ifRevision)], then: [{ op: "delete", key }] });
  if (!succeeded) {
    const now = ifRevision === undefined ? undefined : await deps.kv.get(key);
    if (now !== undefined) checkRevision(`the global ${name}`, ifRevision, now.modRevision);
    throw noGlobal(deps, name);
  }
  await deps.views.globals.reached(revision);
  return name;
}

/** Throws `global/not-found`. */
export async function findGlobal(deps: Pick<OpsDeps, "kv" | "keys" | "views">, name: string): Promise<GlobalEntry> {
  const kv = isResultName(name) ? await deps.kv.get(deps.keys.global(name)) : undefined;
  if (kv === undefined) throw noGlobal(deps, name);
  return globalEntry(deps.keys, kv);
}

function noGlobal(deps: Pick<OpsDeps, "views">, name: string): AppError {
  const near = suggest(
    name,
    [...deps.views.globals.entries()].map(([, entry]) => entry.name),
  );
  return new AppError("global/not-found", `there is no global ${name}`, near === undefined ? {} : { hint: `did you mean ${near}?` });
}
