import test from "ava";
import { checkShape } from "../../base/zod-issues.ts";
import { checkHttp } from "./http-check.ts";
import { httpSchema } from "./http-schema.ts";
import type { HttpSpec } from "./http-spec.ts";
import { isExpected } from "./http-status.ts";
import { fillTemplate, parseTemplate } from "./template.ts";

/** `path: message` of everything that is wrong, the shape first. */
function wrong(spec: unknown): string[] {
  const shape = checkShape<HttpSpec>(httpSchema, spec);
  const issues = shape.issues ?? checkHttp(shape.value, ["PASS"]);
  return issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

test("what can be called is accepted", (t) => {
  const url = "https://api.example/v1";
  const specs: HttpSpec[] = [
    { url },
    { url: "http://${HOST}:${PORT}/a/${ID}?q=${Q}" },
    { url: "${BASE}/v1?x=${X}", proxy: "http://user:${PASS}@proxy:3128" },
    { url: "https://user:${PASS}@api.example/$${literal}" },
    { url: "${HOOK}", tls: { ca: "/etc/ca.pem" } },
    { url, method: "POST", body: { a: ["${A}", 1] }, headers: { "X-A": "${A}" }, expectStatus: [200, "2xx", "301-308"], expectBody: "ok" },
    { url, method: "PURGE", tls: { cert: "/c", key: "/k", passphrase: "PASS", serverName: "x.example" } },
  ];
  for (const spec of specs) t.deepEqual(wrong(spec), [], JSON.stringify(spec));
});

const url = "https://api.example/";
const REFUSED: readonly [object, RegExp][] = [
  [{}, /^url: is missing/],
  [{ url: "ftp://x/" }, /^url: "ftp:" cannot be called/],
  [{ url: "api.example/x" }, /^url: is not an address/],
  [{ url: "http://a b/" }, /^url: is not an address/],
  [{ url: "https://${HOST" }, /^url: "\$\{HOST" is no variable/],
  [{ url: "https://${a-b}/" }, /^url: "\$\{a-b\}" is no variable/],
  [{ url: "https://user:plain@x/" }, /^url: holds a password/],
  [{ url: `${url}#part` }, /^url: has a part behind #/],
  [{ url, proxy: "https://proxy:3128" }, /^proxy: is not the address of an HTTP proxy/],
  [{ url, proxy: "proxy:3128" }, /^proxy: is not/],
  [{ url, body: "x" }, /^body: a GET request has no body/],
  [{ url, method: "HEAD", body: {} }, /^body: a HEAD request/],
  [{ url, method: "HEAD", expectBody: "x" }, /^expectBody: the response to HEAD/],
  [{ url, method: "CONNECT" }, /^method: CONNECT is not/],
  [{ url, method: "get" }, /^method: .*an HTTP method is expected/],
  [{ url, method: "POST", body: 7 }, /^body: found the number 7; text, or a mapping/],
  [{ url, method: "POST", body: { a: ["${b c}"] } }, /^body\.a\.0: /],
  [{ url, headers: { "content-length": "7" } }, /^headers\.content-length: is set by the connection/],
  [{ url, headers: { "X-A": "1", "x-a": "2" } }, /^headers\.x-a: is the same header as X-A/],
  [{ url, headers: { "X-A": "a\r\nX-B: c" } }, /^headers\.X-A: contains a line break/],
  [{ url, headers: { "X A": "a" } }, /X A/],
  [{ url, expectStatus: ["204-200"] }, /^expectStatus\.0: "204-200" holds no status/],
  [{ url, expectStatus: ["ok"] }, /^expectStatus\.0: /],
  [{ url, expectStatus: [] }, /^expectStatus: the list is empty/],
  [{ url, expectBody: "(" }, /not a valid regular expression/],
  [{ url, maxRedirects: 21 }, /^maxRedirects: /],
  [{ url, idleTimeout: "1ms" }, /^idleTimeout: /],
  [{ url, tls: { cert: "/c" } }, /^tls\.key: a client certificate needs both/],
  [{ url, tls: { passphrase: "P" } }, /^tls\.passphrase: there is no key/],
  [{ url, tls: { cert: "/c", key: "/k", passphrase: "NONE" } }, /^tls\.passphrase: the job has no secret NONE/],
  [{ url: "http://x/", tls: { ca: "/c" } }, /^tls: the address begins with http/],
];
for (const [spec, words] of REFUSED) {
  test(`${JSON.stringify(spec)} is refused`, (t) => {
    const [first = "it was accepted"] = wrong(spec);
    t.regex(first, words);
  });
}

test("templates: names, escapes, and what stood before", (t) => {
  const parsed = parseTemplate("a${B}$${C}$D${E_1}");
  t.true("parts" in parsed);
  const seen: string[] = [];
  const text = fillTemplate("parts" in parsed ? parsed.parts : [], (name, before) => {
    seen.push(before);
    return `<${name}>`;
  });
  t.is(text, "a<B>${C}$D<E_1>");
  t.deepEqual(seen, ["a", "a${B}${C}$D"]);
});

test("statuses", (t) => {
  t.true(isExpected(undefined, 204));
  t.false(isExpected(undefined, 301));
  t.true(isExpected([301, "4xx"], 404));
  t.true(isExpected(["200-204"], 204));
  t.false(isExpected(["200-204"], 205));
});
