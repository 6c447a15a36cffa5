/** Every failure of a request as problem details (RFC 9457) with a code of the error table; nothing of the inside goes out. */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { ERROR_TABLE, type ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError, asError, type Issue } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Problem } from "./api-schema.ts";

const SWALLOWED_BYTES = 128 * 2 ** 20;

/** Handles what a route has thrown. */
export function createErrorHandler(deps: {
  log: Log;
}): (error: unknown, request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  return async (thrown, request, reply) => {
    const error = toAppError(thrown);
    if (error.code === "input/too-large") await swallow(request.raw);
    if (error.row.status >= 500)
      deps.log.warn({ err: error, code: error.code, method: request.method, url: request.url }, "request failed");
    return sendProblem(reply, error);
  };
}

/** A client that is still sending would meet a closed connection instead of the answer: the rest is read and thrown away, up to a limit. */
async function swallow(body: IncomingMessage): Promise<void> {
  let bytes = 0;
  if (body.readableEnded) return;
  try {
    for await (const chunk of body) {
      bytes += (chunk as Uint8Array).length;
      if (bytes > SWALLOWED_BYTES) return;
    }
  } catch {
    // The client went away: there is nobody to answer.
  }
}

export function sendProblem(reply: FastifyReply, error: AppError): FastifyReply {
  const { status } = error.row;
  if (status === 401) void reply.header("www-authenticate", "Bearer");
  if ((status === 503 || status === 429) && !reply.hasHeader("retry-after")) void reply.header("retry-after", "1");
  return reply.code(status).type("application/problem+json").serializer(JSON.stringify).send(problemOf(error));
}

/** What a client is told of an error. */
export function problemOf(error: AppError): Problem {
  const { status, means } = error.row;
  return {
    type: `https://fleetcron.io/errors#${error.code.replace("/", "-")}`,
    title: means,
    status,
    code: error.code,
    // A bug's own words may tell of the inside; the log has them.
    detail: error.code === "internal/bug" ? "the master has made a mistake; its log says more" : error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.issues.length === 0 ? {} : { issues: [...error.issues] }),
  };
}

/** What is no HTTP request, or comes too slowly: answered if there is still somebody, and the connection is closed. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const code: ErrorCode =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "input/too-slow" : error.code === "HPE_HEADER_OVERFLOW" ? "input/too-large" : "input/usage";
  const why = code === "input/usage" ? "this is no HTTP request that can be understood" : ERROR_TABLE[code].means;
  const problem = problemOf(new AppError(code, why));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

export function notFound(request: FastifyRequest): AppError {
  return new AppError("route/not-found", `there is no ${request.method} ${request.url.split("?")[0]}`);
}

/** Fastify's own refusals, in our codes. */
const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "input/too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "input/invalid",
  FST_ERR_CTP_INVALID_JSON_BODY: "input/invalid",
  FST_ERR_CTP_EMPTY_JSON_BODY: "input/invalid",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "input/invalid",
  FST_ERR_BAD_URL: "input/usage",
};

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (hasZodFastifySchemaValidationErrors(thrown)) return invalidInput(thrown);
  const error = asError(thrown) as Partial<FastifyError> & Error;
  const code = error.code === undefined ? undefined : FASTIFY_CODES[error.code];
  if (code === "input/too-large") {
    return new AppError(code, "the body is too large", {
      cause: thrown,
      hint: "12 MiB of job files can be applied at once, 5 MiB delivered to a hook; other requests have 1 MiB",
    });
  }
  if (code !== undefined) return new AppError(code, error.message, { cause: thrown });
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new AppError("input/usage", error.message, { cause: thrown });
  return new AppError("internal/bug", error.message, { cause: thrown });
}

function invalidInput(error: {
  validation: readonly { instancePath: string; message?: string | undefined }[];
  validationContext?: string | undefined;
}): AppError {
  const where = error.validationContext === "querystring" ? "query" : (error.validationContext ?? "request");
  const issues = error.validation.map((issue): Issue => {
    const path = issue.instancePath.replace(/^\//, "").replaceAll("/", ".");
    return { message: issue.message ?? "is not accepted", ...(path === "" ? {} : { path }) };
  });
  const first = issues[0];
  const detail = first === undefined ? "" : `: ${first.path === undefined ? "" : `${first.path}: `}${first.message}`;
  return new AppError(where === "body" ? "input/invalid" : "input/usage", `the ${where} is not accepted${detail}`, { issues });
}
