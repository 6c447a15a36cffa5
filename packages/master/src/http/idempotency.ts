/** `Idempotency-Key` on every POST with an access token (ops/once.ts): a repeated request is answered as it was answered first. */
import { AppError } from "fleetcron-shared/base/errors";
import type { Claim, Once, OnceKeys } from "../ops/once.ts";
import { type App, callerOf } from "./app.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Of a POST with an Idempotency-Key that is not answered yet. */
    claim: Claim | null;
  }
}

/** `app`: a scope with authentication. Failures are not kept: what failed may be tried again under its key. */
export function addIdempotency(app: App, keys: OnceKeys): void {
  app.decorateRequest("claim", null);
  app.addHook("preHandler", async (request, reply) => {
    const key = request.headers["idempotency-key"];
    if (request.method !== "POST" || key === undefined) return;
    if (typeof key !== "string" || !/^[\x21-\x7e]{1,200}$/.test(key)) {
      throw new AppError("input/usage", "the Idempotency-Key is not 1 to 200 visible ASCII characters without spaces", {
        hint: "a random UUID, for example",
      });
    }
    const claim = await keys.claim(callerOf(request), key, [request.method, request.url, request.body ?? {}]);
    if (claim.answer === undefined) {
      request.claim = claim;
      return;
    }
    return reply
      .code(claim.answer.status)
      .header("idempotency-replayed", "true")
      .type("application/json; charset=utf-8")
      .send(claim.answer.text);
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const { claim } = request;
    if (claim === null || typeof payload !== "string" || reply.statusCode < 200 || reply.statusCode > 299) return payload;
    const first = await claim.keep(reply.statusCode, payload);
    if (first.text !== payload) reply.code(first.status).header("idempotency-replayed", "true");
    return first.text;
  });
}

/** What a handler makes the request's work with; undefined without a key. */
export function onceOf(request: { readonly claim: Claim | null }): Once | undefined {
  return request.claim?.once;
}
