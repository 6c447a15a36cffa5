/** What a browser shows that was sent to an address of the API and cannot go on: a problem as a small page, for people. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { AppError } from "fleetcron-shared/base/errors";
import { problemOf, sendProblem } from "./problem.ts";

const POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** As a page to who asks for one, else as a problem. */
export function sendToBrowser(request: FastifyRequest, reply: FastifyReply, error: AppError): FastifyReply {
  if (!/\btext\/html\b/.test(request.headers.accept ?? "")) return sendProblem(reply, error);
  const { status, title, detail, hint, code } = problemOf(error);
  const lines = [detail, hint ?? "", `(${code})`].filter((line) => line !== "").map((line) => `<p>${escapeHtml(line)}</p>`);
  const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Fleetcron</title></head><body><main><h1>${escapeHtml(title)}</h1>${lines.join("")}<p><a href="/">Back to the login</a></p></main></body></html>`;
  return reply
    .code(status)
    .headers({ "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" })
    .type("text/html; charset=utf-8")
    .serializer(String)
    .send(page);
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
