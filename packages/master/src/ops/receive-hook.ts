/**
 * Takes a delivery of a Git platform: checks that it is authentic and wanted, and makes the run in the transaction that remembers the delivery, so that
 * it is one run however often and to whichever master it is delivered. Who cannot show the secret is told nothing. Etcd away: refused, and the platform
 * delivers again.
 */
import { createHash } from "node:crypto";
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, asAppError, isCode } from "fleetcron-shared/base/errors";
import { valuesOf } from "fleetcron-shared/model/pipeline/trigger-check";
import { type HookTrigger, hookOf, TRIGGER_DEFAULTS, type TriggerSpec, triggerLabel } from "fleetcron-shared/model/pipeline/trigger-spec";
import { absent } from "fleetcron-shared/store/kv";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import { type GitEvent, readGitEvent } from "../hooks/git-event.ts";
import { matchesAny } from "../hooks/match.ts";
import { createRateLimit } from "../hooks/rate-limit.ts";
import { isAuthentic, type RawDelivery } from "../hooks/verify.ts";
import type { HookAnswer } from "../http/hook-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { openSecrets, type SecretSource } from "../notify/secrets.ts";
import { cut } from "../notify/words.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { createOrderLease, type OrderLease } from "./order-lease.ts";
import { findPipeline } from "./pipelines.ts";
import { runPipeline } from "./run-pipeline.ts";

type HookDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "newId" | "log" | "passPoint"> & {
  /** Where this host keeps what triggers name. */
  readonly secrets: SecretSource;
};
type Receiving = HookDeps & { readonly lease: OrderLease };

export type Hooks = {
  /** Whether a delivery from that address is looked at at all; throws `hook/too-many`. */
  admit(from: string, ref: JobRef, trigger: string): void;
  /** Throws `hook/denied`, `hook/secret`, `hook/too-many`, and what keeps the pipeline from running. */
  receive(from: string, ref: JobRef, trigger: string, delivery: RawDelivery): Promise<HookAnswer>;
};

/** A platform delivers again for some days at most. */
const MEMORY_MS = 7 * 86_400_000;
/** Authentic deliveries of each trigger. */
const ACCEPTED = { burst: 60, everyMs: 1000 };
/** Others, of each address at each trigger: a platform does not err so often. */
const DENIED = { burst: 20, everyMs: 5000 };

export function openHooks(deps: HookDeps): Hooks {
  const [accepted, denied] = [createRateLimit(deps, ACCEPTED), createRateLimit(deps, DENIED)];
  const receiving = { ...deps, lease: createOrderLease(deps, MEMORY_MS) };
  const nameOf = (ref: JobRef, trigger: string) => `${toKey(ref)}/${trigger}`;
  return {
    admit(from, ref, trigger) {
      if (denied.allows(`${from} ${nameOf(ref, trigger)}`)) return;
      throw new AppError("hook/too-many", "too many deliveries without the trigger's secret");
    },
    async receive(from, ref, name, delivery) {
      const trigger = await authenticTrigger(deps, ref, name, delivery);
      if (trigger === undefined) {
        denied.take(`${from} ${nameOf(ref, name)}`);
        throw new AppError("hook/denied", "the delivery does not carry the trigger's secret", {
          hint: "or there is no such trigger: compare the address and the secret with those at the platform",
        });
      }
      if (!accepted.take(nameOf(ref, name))) throw new AppError("hook/too-many", `too many deliveries for ${nameOf(ref, name)}`);
      return receiveHook(receiving, ref, trigger, delivery);
    },
  };
}

/** The trigger, if there is one and the delivery shows its secret. */
async function authenticTrigger(deps: HookDeps, ref: JobRef, name: string, delivery: RawDelivery): Promise<TriggerSpec | undefined> {
  const { keys, views } = deps;
  const entry = views.pipelines.get(keys.pipeline(ref.group, ref.id)) ?? (await findPipeline(deps, ref).catch(notThere));
  const trigger = entry?.stored.spec.triggers?.find((one) => one.name === name);
  const held = trigger === undefined ? undefined : hookOf(trigger);
  if (held === undefined) return undefined;
  const secret = await secretOf(deps, ref, name, held.hook);
  return isAuthentic(held.kind, delivery, secret, deps.clock.now()) ? trigger : undefined;
}

/** The value of `hooks/<group>/<pipeline>/<trigger>/<delivery>`. */
type Delivered = { readonly v: 1; readonly run: string; readonly at: string };

async function receiveHook(deps: Receiving, ref: JobRef, trigger: TriggerSpec, delivery: RawDelivery): Promise<HookAnswer> {
  const held = hookOf(trigger);
  if (held === undefined) throw new AppError("internal/bug", `the trigger ${trigger.name} is no webhook`);
  const read = readGitEvent(held.kind, delivery.headers, payloadOf(delivery));
  if (read.ignored !== undefined) return { accepted: false, reason: read.ignored };
  const unwanted = trigger.pause === true ? "the trigger is paused" : unwantedBecause(held.hook, read.event);
  if (unwanted !== undefined) return { accepted: false, reason: unwanted };
  const by = cut(`${held.kind}: ${read.event.author}`, 100);
  return startOnce(deps, ref, trigger.name, read.event.delivery, { ...valuesOf(trigger, read.event), trigger: triggerLabel(trigger), by });
}

type Wish = Parameters<typeof runPipeline>[2];

async function startOnce(deps: Receiving, ref: JobRef, name: string, delivery: string, wish: Wish): Promise<HookAnswer> {
  const { kv, keys, clock, newId, lease } = deps;
  const key = keys.hook(ref.group, ref.id, name, createHash("sha256").update(delivery).digest("hex").slice(0, 32));
  const known = async (): Promise<HookAnswer | undefined> => {
    const entry = await kv.get(key);
    const value = entry === undefined ? undefined : tryDecode<Delivered>(key, entry.value);
    return value === undefined ? undefined : { accepted: true, pipeline: toKey(ref), run: value.run, repeated: true };
  };
  const before = await known();
  if (before !== undefined) return before;
  const run = newId();
  const current = await lease.current();
  const value: Delivered = { v: 1, run, at: toIso(clock.now()) };
  const then = [{ op: "put", key, value: encode(value), lease: current }] as const;
  try {
    await runPipeline(deps, ref, { ...wish, run, also: { if: [absent(key)], then } });
    return { accepted: true, pipeline: toKey(ref), run, repeated: false };
  } catch (error) {
    if (isCode(error, "etcd/lease-gone")) lease.forget(current);
    // Another master may have taken the same delivery meanwhile.
    const other = isCode(error, "write/conflict") ? await known() : undefined;
    if (other === undefined) throw error;
    return other;
  }
}

function notThere(error: unknown): undefined {
  if (!isCode(error, "pipeline/not-found")) throw error;
}

/** Where the secret should be is for the log of this master, not for who calls. */
async function secretOf(deps: HookDeps, ref: JobRef, name: string, hook: HookTrigger): Promise<string> {
  try {
    return await openSecrets(deps.secrets).read(`secret of the trigger ${name}`, hook.secret);
  } catch (thrown) {
    const err = asAppError(thrown);
    deps.log.error({ pipeline: toKey(ref), trigger: name, err, code: err.code }, "secret of a trigger not found");
    throw new AppError("hook/secret", "this master cannot read the trigger's secret", { hint: "its log says more" });
  }
}

function payloadOf({ headers, body }: RawDelivery): unknown {
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(headers["content-type"] ?? "");
  const text = isForm ? (new URLSearchParams(body.toString()).get("payload") ?? "") : body.toString();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("input/invalid", "the body is not JSON", { cause, hint: "choose application/json at the platform" });
  }
}

function unwantedBecause(hook: HookTrigger, { event, branch, tag }: GitEvent): string | undefined {
  const events: readonly string[] = hook.events ?? TRIGGER_DEFAULTS.events;
  if (!events.includes(event)) return `the trigger is not for the event ${event}`;
  if (event === "push" && !matchesAny(hook.branches, branch)) return `the trigger is not for the branch ${branch}`;
  if (event === "tag" && !matchesAny(hook.tags, tag)) return `the trigger is not for the tag ${tag}`;
  return undefined;
}
