/**
 * The console's files: the page at `/`, all else under `/console/` with the hash of its content in its name. No other site may frame it, and no script or style runs
 * but its own. Without built files (a checkout that cannot be built) the API serves all the same, and `/` says what to do.
 */
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { App } from "../app.ts";

/** Both in the repository (src beside web-dist) and in the published package. */
const BUILT = fileURLToPath(new URL("../../../web-dist", import.meta.url));
/** There only in a checkout. */
const BUILD_SCRIPT = new URL("../../../../../scripts/build-web.ts", import.meta.url);
const YEAR_S = 31_536_000;

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

export async function addConsole(app: App, deps: { log: Log }): Promise<void> {
  await buildInCheckout(deps.log);
  app.addHook("onSend", async (_request, reply, payload) => {
    void reply.headers(HEADERS);
    return payload;
  });
  app.get("/", { schema: { hide: true } }, (_request, reply) => {
    const page = readPage();
    return reply.header("cache-control", "no-cache").type("text/html; charset=utf-8").send(page);
  });
  app.get("/favicon.ico", { schema: { hide: true } }, (_request, reply) =>
    reply
      .type("image/svg+xml")
      .header("cache-control", "public, max-age=86400")
      .send(createReadStream(join(BUILT, "console/icon.svg"))),
  );
  if (!existsSync(join(BUILT, "console"))) return;
  await app.register(fastifyStatic, {
    root: join(BUILT, "console"),
    prefix: "/console/",
    decorateReply: false,
    index: false,
    preCompressed: true,
    dotfiles: "deny",
    cacheControl: false,
    setHeaders: (reply, path) => {
      void reply.header("cache-control", /-[A-Z0-9]{8}\./.test(path) ? `public, max-age=${YEAR_S}, immutable` : "public, max-age=3600");
    },
  });
}

/** Read at each request: small, in the system's cache, and new after an update. */
function readPage(): string {
  try {
    return readFileSync(join(BUILT, "console.html"), "utf8");
  } catch (cause) {
    throw new AppError("route/not-found", "the console is not built", {
      cause,
      hint: "run `npm run build:web` in the checkout; the API is at /api/v1",
    });
  }
}

/** What is older than its sources is built anew. A failure leaves what was there. */
async function buildInCheckout(log: Log): Promise<void> {
  if (!existsSync(BUILD_SCRIPT)) return;
  try {
    const script = (await import(BUILD_SCRIPT.href)) as { ensureWeb(): Promise<void> };
    await script.ensureWeb();
  } catch (error) {
    log.warn({ err: asError(error) }, "the console could not be built; what was built before is served");
  }
}
