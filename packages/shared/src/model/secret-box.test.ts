import test from "ava";
import type { SecretBox } from "./secret.ts";
import { createKeyPair, openBox, publicKeyOf, sealBox } from "./secret-box.ts";

const place = { secret: "db/password", node: "web-1", version: "v1" };

test("a box opens for its key and in its place only", (t) => {
  const own = createKeyPair();
  const box = sealBox("päss\nword", own.publicKey, place);
  t.is(openBox(box, own, place), "päss\nword");
  t.is(openBox(box, createKeyPair(), place), undefined);
  t.is(openBox(box, own, { ...place, node: "web-2" }), undefined);
  t.is(openBox(box, own, { ...place, secret: "db/other" }), undefined);
  t.is(openBox({ ...box, version: "v2" }, own, place), undefined);
});

test("a box that was changed does not open", (t) => {
  const own = createKeyPair();
  const box = sealBox("secret", own.publicKey, place);
  const flip = (text: string) => (text.startsWith("A") ? "B" : "A") + text.slice(1);
  const changed: SecretBox[] = [
    { ...box, sealed: flip(box.sealed) },
    { ...box, ephemeral: flip(box.ephemeral) },
    { ...box, sealed: "" },
    { ...box, ephemeral: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
  ];
  for (const one of changed) t.is(openBox(one, own, place), undefined);
});

test("two boxes of one value have nothing in common, and neither shows the value", (t) => {
  const own = createKeyPair();
  const [one, two] = [sealBox("hunter22", own.publicKey, place), sealBox("hunter22", own.publicKey, place)];
  t.not(one.sealed, two.sealed);
  t.not(one.ephemeral, two.ephemeral);
  for (const form of ["hunter22", Buffer.from("hunter22").toString("base64url")]) t.false(JSON.stringify(one).includes(form));
});

test("a private key knows its public half; other keys are refused", (t) => {
  const own = createKeyPair();
  t.is(publicKeyOf(own.privateKey), own.publicKey);
  t.throws(() => publicKeyOf("no key"));
  t.throws(() => sealBox("x", "short", place), { message: /not a public key/ });
});
