/**
 * POSTs that carry an `Idempotency-Key`: each key is a request that happens once, however often and to whichever master it is sent. What is made for it is named by
 * an id that the key keeps, and notes in its own transaction that it is made; the first answer is kept and given again. Etcd away: refused like any other write.
 */
import { createHash } from "node:crypto";
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import { absent, type Compare, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { OpsDeps } from "./ops-deps.ts";
import { createOrderLease } from "./order-lease.ts";
import { settle } from "./settle.ts";

/** For what makes something. */
export type Once = {
  /** The same whenever the key comes again. */
  readonly id: string;
  /** It is made already, and its answer was too large to be kept. */
  readonly made: boolean;
  /** Holds while nobody has made it. */
  readonly guard: Compare;
  /** Goes into the transaction that makes it. */
  mark(answer: unknown): Op;
};
export type KeptAnswer = { readonly status: number; readonly text: string };
export type Claim = {
  readonly once: Once;
  readonly answer: KeptAnswer | undefined;
  /** Keeps the answer; resolves with the first one, which may be another's. */
  keep(status: number, text: string): Promise<KeptAnswer>;
};
export type OnceKeys = {
  /** Throws `input/key-reused` when `caller` has sent `key` with another request. */
  claim(caller: string, key: string, request: readonly unknown[]): Promise<Claim>;
};

/** The value of `once/<hash of the caller and the key>`. `request`: a hash of it. */
type Held = {
  readonly v: 1;
  readonly id: string;
  readonly request: string;
  readonly at: string;
  readonly made?: true;
  readonly status?: number;
  readonly answer?: string;
};

/** A key is remembered at least so long. */
export const REMEMBERED_MS = 86_400_000;
/** Values in etcd stay under 64 KiB. */
const MAX_ANSWER = 48 * 1024;
const TRIES = 5;

export function openOnce(deps: Pick<OpsDeps, "kv" | "keys" | "clock" | "newId">): OnceKeys {
  const { kv, keys, clock, newId } = deps;
  const leases = createOrderLease(deps, REMEMBERED_MS);

  async function claim(caller: string, key: string, request: readonly unknown[]): Promise<Claim> {
    const at = keys.once(hash([caller, key]));
    const asked = hash(request);
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const lease = await leases.current();
      const entry = await kv.get(at);
      if (entry !== undefined) {
        const held = decode<Held>(at, entry.value);
        if (held.request === asked) return claimOf(at, held, entry.modRevision, entry.lease ?? lease);
        throw new AppError("input/key-reused", `the Idempotency-Key ${key} came with another request at ${held.at}`, {
          hint: "take a new key for each request; the same one only to repeat it",
        });
      }
      const held: Held = { v: 1, id: newId(), request: asked, at: toIso(clock.now()) };
      try {
        const { succeeded, revision } = await settle(kv, { if: [absent(at)], then: [{ op: "put", key: at, value: encode(held), lease }] });
        if (succeeded) return claimOf(at, held, revision, lease);
      } catch (error) {
        if (isCode(error, "etcd/lease-gone")) leases.forget(lease);
        throw error;
      }
    }
    throw new AppError("write/conflict", `the Idempotency-Key ${key} is being taken all the time`);
  }

  function claimOf(at: string, held: Held, revision: Revision, lease: string): Claim {
    const guard = unchanged(at, revision);
    const put = (status: number, text: string): Op => {
      const kept = Buffer.byteLength(text) <= MAX_ANSWER ? { status, answer: text } : {};
      return { op: "put", key: at, value: encode<Held>({ ...held, made: true, ...kept }), lease };
    };
    return {
      once: { id: held.id, made: held.made === true, guard, mark: (answer) => put(200, JSON.stringify(answer)) },
      answer: answerOf(held),
      async keep(status, text) {
        const { succeeded } = await settle(kv, { if: [guard], then: [put(status, text)] });
        const entry = succeeded ? undefined : await kv.get(at);
        return (entry === undefined ? undefined : answerOf(decode<Held>(at, entry.value))) ?? { status, text };
      },
    };
  }

  return { claim };
}

function answerOf({ status, answer }: Held): KeptAnswer | undefined {
  return status === undefined || answer === undefined ? undefined : { status, text: answer };
}

function hash(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 40);
}
