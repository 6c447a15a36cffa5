import test from "ava";
import { createMasker, PLAIN, WITHHOLD } from "./masker.ts";
import { needlesOf } from "./needles.ts";

const VALUE = 'p@ss/w"ord+1?';
const masker = createMasker(needlesOf([VALUE]));
const base64 = (text: string) => Buffer.from(text).toString("base64");

test("a value is masked in each of its forms, the text around it is not", (t) => {
  t.is(masker.text(`a ${VALUE} b`), "a *** b");
  t.is(masker.text(JSON.stringify({ a: VALUE })), '{"a":"***"}');
  t.is(masker.text(`?q=${encodeURIComponent(VALUE)}&r=1`), "?q=***&r=1");
  t.is(masker.text(encodeURIComponent(VALUE).toLowerCase()), "***");
  for (const before of ["", "u", "us", "use:"])
    for (const after of ["", "x", "xy"]) {
      const masked = masker.text(base64(before + VALUE + after));
      t.regex(masked, /^.{0,6}\*\*\*.{0,6}$/, `${before} ${after}`);
    }
  t.is(masker.text(Buffer.from(VALUE).toString("base64url")).slice(0, 3), "***");
  t.is(masker.text("nothing here"), "nothing here");
});

test("lines of a value are masked one by one, short ones not", (t) => {
  const pem = `-----BEGIN-----\n${"abcdefgh".repeat(8)}\r\n${"ijklmnop".repeat(8)}\nxyz\n-----END-----`;
  const lines = createMasker(needlesOf([pem]));
  t.is(lines.text(pem), "***");
  t.is(lines.text(`> ${"ijklmnop".repeat(8)}\n> xyz\n`), "> ***\n> xyz\n");
  const wrapped = (width: number) => base64(pem).replace(new RegExp(`.{${width}}`, "g"), "$&\n");
  for (const width of [64, 76]) t.false(/[A-Za-z0-9]{8}/.test(lines.text(wrapped(width))), lines.text(wrapped(width)));
  t.is(createMasker(needlesOf(["abc", ""])), PLAIN);
});

test("overlapping and repeated values leave nothing over", (t) => {
  const two = createMasker(needlesOf(["secret-one", "one-secret"]));
  t.is(two.text("secret-one-secret-one"), "***");
  t.is(createMasker(needlesOf(["aaaa"])).text(`b${"a".repeat(1001)}b`), "b***b");
  t.is(two.text("secret-onesecret-one x one-secret"), "*** x ***");
});

test("a text that was cut in the middle of a value shows nothing of it", (t) => {
  const value = "grün-hunter2-secret";
  const cut = createMasker(needlesOf([value]));
  for (let at = 1; at < value.length; at++) {
    const output = { tail: `${value.slice(at)} rest`, cutBytes: 9, totalBytes: 99 };
    t.is(cut.output(output)?.tail, "*** rest");
  }
  t.is(cut.output({ tail: "\uFFFDn-hunter2-secret", cutBytes: 3, totalBytes: 99 })?.tail, "\uFFFD***");
  t.is(cut.output({ tail: "secret", cutBytes: 0, totalBytes: 6 })?.tail, "secret");
});

test("values of JSON are masked wherever they are; nothing is shown when the secrets are not known", (t) => {
  t.deepEqual(masker.deep({ a: [VALUE, 1, { b: `x${VALUE}` }], c: null }), { a: ["***", 1, { b: "x***" }], c: null });
  t.deepEqual(WITHHOLD.deep({ a: "b", n: 1 }), { a: "***", n: 1 });
  t.is(String(WITHHOLD.log?.mask(Buffer.from("abc"))), "***");
  t.is(String(masker.log?.mask(Buffer.from(`a ${VALUE}`))), `a ${"*".repeat(VALUE.length)}`);
  t.is(WITHHOLD.output({ tail: "x", cutBytes: 0, totalBytes: 1 })?.tail, "***");
});
