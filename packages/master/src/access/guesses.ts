/**
 * Failed logins slow down further ones: after a few of an address, each doubles the time in which it is not listened to; too many of all addresses together
 * close the door to everybody who is not known yet. An address that has shown a right token before may go on with it. In memory, and bounded.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";

export type Guesses = {
  /** Throws `auth/locked`. `known`: what identifies a credential that is right, of which the address may have shown it before. */
  admit(address: string, known?: string): void;
  failed(address: string): void;
  succeeded(address: string, known: string): void;
};

export type GuessLimits = {
  readonly free: number;
  readonly firstMs: number;
  readonly maxMs: number;
  readonly everybody: number;
  readonly everybodyMs: number;
};
/** Ten tries of an address; then 1 s, 2 s … 15 min. Of all together 300, and one more each second. */
export const GUESS_LIMITS: GuessLimits = { free: 10, firstMs: 1000, maxMs: 900_000, everybody: 300, everybodyMs: 1000 };

const MAX_ADDRESSES = 10_000;
const MAX_KNOWN = 10_000;

type Failures = { count: number; until: MonoMs; lastAt: MonoMs };

export function createGuesses(deps: { readonly clock: Pick<Clock, "mono"> }, limits: GuessLimits = GUESS_LIMITS): Guesses {
  const { clock } = deps;
  const failures = new Map<string, Failures>();
  const known = new Set<string>();
  let left = limits.everybody;
  let leftAt = clock.mono();

  function refill(): void {
    const now = clock.mono();
    left = Math.min(limits.everybody, left + (now - leftAt) / limits.everybodyMs);
    leftAt = now;
  }

  return {
    admit(address, credential) {
      if (credential !== undefined && known.has(`${address} ${credential}`)) return;
      refill();
      const waitMs = Math.max((failures.get(address)?.until ?? 0) - clock.mono(), left < 1 ? limits.everybodyMs : 0);
      if (waitMs <= 0) return;
      throw new AppError("auth/locked", `too many failed logins; the next one is listened to in ${Math.ceil(waitMs / 1000)} s`, {
        hint: "wait, and check the token",
      });
    },
    failed(address) {
      const now = clock.mono();
      refill();
      left = Math.max(0, left - 1);
      const before = failures.get(address);
      const count = before === undefined || now - before.lastAt > limits.maxMs * 2 ? 1 : before.count + 1;
      const waitMs = count < limits.free ? 0 : Math.min(limits.maxMs, limits.firstMs * 2 ** (count - limits.free));
      failures.delete(address);
      if (failures.size >= MAX_ADDRESSES) drop(failures);
      failures.set(address, { count, until: now + waitMs, lastAt: now });
    },
    // What failed before stays counted: a token of little worth must not buy new guesses.
    succeeded(address, credential) {
      const name = `${address} ${credential}`;
      known.delete(name);
      if (known.size >= MAX_KNOWN) drop(known);
      known.add(name);
    },
  };
}

/** The one that was not heard of for longest. */
function drop(held: Map<string, unknown> | Set<string>): void {
  const [oldest] = held.keys();
  if (oldest !== undefined) held.delete(oldest);
}
