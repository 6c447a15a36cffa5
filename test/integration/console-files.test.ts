/** The console's files as the master serves them: headers that keep everything else out, long caching by hash, and nothing beside the files. */
import { request } from "node:http";
import test from "ava";
import { startEtcd } from "../support/etcd.ts";
import { startMasterProcess } from "../support/master.ts";

/** The path as it stands: fetch would tidy it up. */
function rawStatus(url: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    request({ hostname, port, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on("error", reject)
      .end();
  });
}

test("the page allows its own files only, which are kept by their hash", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const page = await fetch(`${master.url}/`);
  const text = await page.text();
  t.is(page.status, 200);
  const policy = page.headers.get("content-security-policy") ?? "";
  t.true(policy.startsWith("default-src 'none'; script-src 'self'; style-src 'self'") && policy.includes("frame-ancestors 'none'"), policy);
  t.notRegex(policy, /unsafe|\*|data:/);
  t.deepEqual(
    ["x-content-type-options", "referrer-policy", "cache-control", "x-frame-options"].map((name) => page.headers.get(name)),
    ["nosniff", "no-referrer", "no-cache", "DENY"],
  );
  t.notRegex(text, /<script>|<style|style=|onload=|onclick=/, "nothing inline");
  const named = [...text.matchAll(/"(\/console\/main-[^"]+)"/g)].map(([, name = ""]) => name);
  t.is(named.length, 2);
  for (const name of named) {
    const file = await fetch(master.url + name, { headers: { "accept-encoding": "gzip" } });
    t.is(file.status, 200);
    t.regex(file.headers.get("cache-control") ?? "", /max-age=31536000, immutable/);
    t.is(file.headers.get("content-encoding"), "gzip");
    t.is(file.headers.get("x-content-type-options"), "nosniff");
  }
  t.is((await fetch(`${master.url}/favicon.ico`)).status, 200);
  t.like(await (await fetch(`${master.url}/console/none.js`)).json(), { code: "route/not-found" });
  t.is((await fetch(`${master.url}/console/`)).status, 404, "no listing");
  t.like(await (await fetch(`${master.url}/nowhere`)).json(), { code: "route/not-found" });
  for (const path of [
    "/console/../console.html",
    "/console/..%2fconsole.html",
    "/console/%2e%2e/built",
    "/console/%00",
    "/console/....//x",
    "/console//etc/passwd",
    "/console/..\\x",
  ]) {
    const answer = await rawStatus(master.url, path);
    t.true(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
    t.notRegex(answer.text, /doctype|root:/i, path);
  }
  t.is((await master.ask("GET", "/info")).status, 200);
});
