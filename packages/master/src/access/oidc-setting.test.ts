import test from "ava";
import { oidcConfig, parseRoleRow, userOfClaims } from "./oidc-setting.ts";

test("a row: role, groups, claim and value; nothing in it is ambiguous", (t) => {
  t.deepEqual(parseRoleRow("admin:groups=ops"), { role: "admin", groups: undefined, claim: "groups", value: "ops" });
  t.deepEqual(parseRoleRow("operator@db+web:https://x.example/roles=urn:a:admin=b,c"), {
    role: "operator",
    groups: ["db", "web"],
    claim: "https://x.example/roles",
    value: "urn:a:admin=b,c",
  });
  for (const text of [
    "groups=ops",
    "boss:groups=ops",
    "admin@:groups=ops",
    "admin@DB:groups=ops",
    "admin@a++b:groups=ops",
    "admin:groups=",
    "admin:=ops",
    "admin:groups",
  ])
    t.is(parseRoleRow(text), undefined, text);
});

test("the first row that fits gives the role; claims may be lists, and lie within others", (t) => {
  const rows = ["viewer@web:groups=staff", "admin:realm_access.roles=boss", "operator:a.b=1", "admin:ok=true"].flatMap(
    (row) => parseRoleRow(row) ?? [],
  );
  const of = (claims: object, userClaim = "preferred_username") => userOfClaims({ rows, userClaim }, { sub: "s|1", ...claims });
  t.deepEqual(of({ groups: ["x", "staff"], ok: true, preferred_username: "vera" }), {
    subject: "s|1",
    name: "oidc:vera",
    role: "viewer",
    groups: ["web"],
  });
  t.like(of({ realm_access: { roles: ["boss"] } }), { role: "admin", name: "oidc:s|1" });
  t.like(of({ "a.b": 1 }), { role: "operator" }, "a claim with a dot in its name");
  t.like(of({ ok: true }), { role: "admin" });
  for (const claims of [
    {},
    { groups: "staffer" },
    { groups: "staff other" },
    { groups: [["staff"]] },
    { groups: { staff: true } },
    { ok: "yes" },
    { realm_access: null },
  ])
    t.is(of(claims), undefined, JSON.stringify(claims));
  t.is(of({ groups: "staff", preferred_username: "two words" })?.name, "oidc:s|1");
  t.is(of({ groups: "staff", email: "v@x.example", email_verified: false }, "email")?.name, "oidc:s|1", "anybody could say that");
  t.is(of({ groups: "staff", email: "v@x.example", email_verified: true }, "email")?.name, "oidc:v@x.example");
});

test("a provider is set whole or not at all, and only reached under TLS or on this host", (t) => {
  const rest = { oidcName: "x", oidcScopes: ["profile"], oidcUserClaim: "sub" };
  const whole = { ...rest, oidcClientId: "a", oidcClientSecretFile: "f", oidcRoles: ["viewer:sub=1"] };
  t.is(oidcConfig({ ...rest, oidcRoles: [] }), undefined);
  t.deepEqual(oidcConfig({ ...whole, oidcIssuer: "https://x.example/a" })?.scopes, ["openid", "profile"]);
  t.truthy(oidcConfig({ ...whole, oidcIssuer: "http://127.0.0.1:9" }));
  t.throws(() => oidcConfig(whole), { code: "config/invalid", message: /also needs oidcIssuer$/ });
  for (const oidcIssuer of [
    "x.example",
    "http://x.example",
    "http://127.0.0.1.x.example",
    "https://u:p@x.example",
    "https://x.example?a",
    "ftp://x",
  ])
    t.throws(() => oidcConfig({ ...whole, oidcIssuer }), { code: "config/invalid" }, oidcIssuer);
});
