import test from "ava";
import { createIdSource } from "fleetcron-shared/base/ids";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createLogins, LOGIN_MS } from "./oidc-login.ts";

function world(secret = "secret", cluster = "01A") {
  // The leases of the store would else keep the process waiting.
  const clock = createManualClock();
  const kv = createMemoryStore({ clock }).connect();
  const deps = { kv, keys: createKeys(), clock, random: systemRandom, newId: createIdSource({ clock, random: systemRandom }) };
  return { kv, deps, logins: createLogins(deps, { secret, cluster }), pass: clock.stall };
}

test("a login is good for ten minutes, at every master of the cluster, once", async (t) => {
  const { kv, deps, logins, pass } = world();
  const login = logins.begin();
  t.is(new Set([login.cookie, login.state, login.nonce, login.verifier]).size, 4);
  t.regex(login.verifier, /^[\w-]{43}$/);
  const other = createLogins(deps, { secret: "secret", cluster: "01A" });
  t.deepEqual(other.open(login.cookie, login.state), login);
  await other.spend(login);
  await t.throwsAsync(() => logins.spend(login), { code: "auth/oidc", message: /used already/ });
  const [a, b] = [logins.begin(), logins.begin()];
  t.throws(() => logins.open(a.cookie, b.state), { code: "auth/oidc" });
  const both = await Promise.allSettled([logins.spend(a), other.spend(a)]);
  t.is(both.filter(({ status }) => status === "fulfilled").length, 1);
  pass(LOGIN_MS - 1);
  t.notThrows(() => logins.open(b.cookie, b.state));
  pass(1);
  t.throws(() => logins.open(b.cookie, b.state), { code: "auth/oidc", message: /longer than ten minutes/ });
  await kv.close();
});

test("nobody makes one up, prolongs one, or brings one of another cluster or client", async (t) => {
  const { kv, logins } = world();
  const login = logins.begin();
  const bytes = Buffer.from(login.cookie, "base64url");
  bytes.writeUIntBE(bytes.readUIntBE(32, 6) + 1, 32, 6);
  t.throws(() => logins.open(bytes.toString("base64url"), login.state), { code: "auth/oidc" });
  t.throws(() => logins.open(login.cookie, undefined), { code: "auth/oidc" });
  t.throws(() => logins.open(undefined, login.state), { code: "auth/oidc" });
  for (const [secret, cluster] of [
    ["secret", "01B"],
    ["another", "01A"],
  ] as const) {
    const other = world(secret, cluster);
    t.throws(() => other.logins.open(login.cookie, login.state), { code: "auth/oidc" });
    await other.kv.close();
  }
  await kv.close();
});
