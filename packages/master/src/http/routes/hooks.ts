/** /hooks: deliveries of Git platforms. No access token: each carries the secret of its trigger, as its platform does. */
import type { Hooks } from "../../ops/receive-hook.ts";
import type { App } from "../app.ts";
import { HookAnswer, HookParams } from "../hook-schema.ts";

const BODY_LIMIT = 5 * 2 ** 20;

/** `app` is a scope of its own: what it takes as a body differs from all other routes. */
export function addHookRoutes(app: App, hooks: Hooks): void {
  // Signatures are over the bytes as they came.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: BODY_LIMIT }, (_request, body, done) => done(null, body));
  const refOf = ({ group, pipeline }: HookParams) => ({ group, id: pipeline });
  app.post(
    "/hooks/:group/:pipeline/:trigger",
    {
      bodyLimit: BODY_LIMIT,
      schema: { params: HookParams, response: { 200: HookAnswer, 202: HookAnswer } },
      // Before the body is read.
      onRequest: async (request) => {
        const params = HookParams.safeParse(request.params);
        if (params.success) hooks.admit(request.ip, refOf(params.data), params.data.trigger);
      },
    },
    async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const answer = await hooks.receive(request.ip, refOf(request.params), request.params.trigger, { headers: request.headers, body });
      return reply.code(answer.accepted ? 200 : 202).send(answer);
    },
  );
}
