/**
 * Revisions as ETags: `If-Match` says which one a change is meant for, `If-None-Match` gives 304 while the object is at that revision, whatever is counted or
 * due beside it.
 */
import type { FastifyReply } from "fastify";
import { AppError } from "fleetcron-shared/base/errors";
import type { App } from "./app.ts";

/** Sets the ETag of what is answered. */
export function withTag<T extends { readonly revision: number }>(reply: FastifyReply, view: T): T {
  void reply.header("etag", `"${view.revision}"`);
  return view;
}

/** The revision of `If-Match: "12"`; `*` and absence set no condition; `"0"` means that there must be none. */
export function ifMatch(header: string | undefined): number | undefined {
  if (header === undefined || header === "*") return undefined;
  const match = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header);
  if (match === null)
    throw new AppError("input/usage", `If-Match: ${header} is not a revision`, {
      hint: 'such as If-Match: "1234", from the ETag of what is to be changed',
    });
  return Number(match[1]);
}

/** `app`: a scope before its routes. */
export function addConditions(app: App): void {
  app.addHook("onSend", async (request, reply, payload) => {
    const asked = request.headers["if-none-match"];
    const etag = reply.getHeader("etag");
    if (request.method !== "GET" || reply.statusCode !== 200 || asked === undefined || typeof etag !== "string") return payload;
    const known = asked.split(",").map((one) => one.trim().replace(/^W\//, ""));
    if (!known.includes(etag) && asked.trim() !== "*") return payload;
    void reply.code(304).removeHeader("content-type").removeHeader("content-length");
    return null;
  });
}
