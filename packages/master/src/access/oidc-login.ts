/**
 * A login that is under way at a provider. All that is kept of it is a cookie of random bytes and an end; state, nonce and verifier are made from that with a key that
 * the masters share, so every master can go on with it, nobody can make one up, and another end means another state.
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { type Clock, toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Random } from "fleetcron-shared/base/random";
import type { SpentLogin } from "fleetcron-shared/model/access";
import { absent, type Kv } from "fleetcron-shared/store/kv";
import { settleTxn } from "fleetcron-shared/store/settle";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { sha256 } from "./authenticate.ts";

export type Login = { readonly cookie: string; readonly state: string; readonly nonce: string; readonly verifier: string };
export type Logins = {
  begin(): Login;
  /** The login of the cookie that came back with `state`; throws `auth/oidc`. */
  open(cookie: string | undefined, state: string | undefined): Login;
  /** Throws `auth/oidc` when it was spent before, at whichever master. */
  spend(login: Login): Promise<void>;
};

export type LoginsDeps = {
  readonly kv: Pick<Kv, "txn" | "get" | "grantLease" | "revokeLease">;
  readonly keys: Keys;
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
  readonly newId: IdSource;
};

export const LOGIN_MS = 600_000;
const RANDOM_BYTES = 32;
const END_BYTES = 6;

/** `secret`: of the client at the provider, which all masters of the cluster have. */
export function createLogins(deps: LoginsDeps, about: { secret: string; cluster: string }): Logins {
  const { kv, keys, clock, random, newId } = deps;
  const key = Buffer.from(hkdfSync("sha256", about.secret, about.cluster, "fleetcron login through a provider", 32));
  const derive = (what: string, cookie: string) => createHmac("sha256", key).update(`${what} ${cookie}`).digest();
  const loginOf = (cookie: string): Login => {
    const text = (what: string) => derive(what, cookie).toString("base64url");
    return { cookie, state: text("state"), nonce: text("nonce"), verifier: text("verifier") };
  };

  return {
    begin() {
      const end = Buffer.alloc(END_BYTES);
      end.writeUIntBE(clock.now() + LOGIN_MS, 0, END_BYTES);
      return loginOf(Buffer.concat([random.bytes(RANDOM_BYTES), end]).toString("base64url"));
    },
    open(cookie, state) {
      if (cookie === undefined) throw notOurs("it was not begun in this browser at this address, or took longer than ten minutes");
      const login = loginOf(cookie);
      if (state === undefined || !timingSafeEqual(sha256(state), sha256(login.state)))
        throw notOurs("it is not the one that was begun last in this browser");
      const bytes = Buffer.from(cookie, "base64url");
      if (bytes.length !== RANDOM_BYTES + END_BYTES || bytes.readUIntBE(RANDOM_BYTES, END_BYTES) <= clock.now())
        throw notOurs("it took longer than ten minutes");
      return login;
    },
    async spend({ cookie }) {
      const spent = keys.login(derive("spent", cookie).toString("hex"));
      const value = encode<SpentLogin>({ v: 1, by: newId(), expiresAt: toIso(clock.now() + LOGIN_MS) });
      const { lease } = await kv.grantLease(LOGIN_MS);
      const txn = { if: [absent(spent)], then: [{ op: "put", key: spent, value, lease }] } as const;
      const { succeeded } = await settleTxn(kv, txn, async () => {
        const held = await kv.get(spent);
        return held?.value === value ? { succeeded: true, revision: held.modRevision, results: [] } : undefined;
      });
      if (succeeded) return;
      await kv.revokeLease(lease).catch(() => {});
      throw notOurs("it has been used already");
    },
  };
}

function notOurs(why: string): AppError {
  return new AppError("auth/oidc", `the login through the provider does not count: ${why}`, { hint: "begin the login again" });
}
