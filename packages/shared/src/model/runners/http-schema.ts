/** The shape of `run.http`. What its fields mean together is checked in http-check.ts. */
import { z } from "zod";
import { expected, fields, list, mapping, wholeNumber } from "../../base/zod-issues.ts";
import { absolutePath, durationField, envName, line, pattern, rawText, regexText } from "../job-fields.ts";
import type { HttpSpec } from "./http-spec.ts";

const HOUR = 3_600_000;
const MAX_TEXT = 48 * 1024;
const STATUS_HINT = "such as 200, 2xx or 200-204";

const body = z
  .union([rawText("a body", MAX_TEXT, 0), z.record(z.string(), z.unknown()), z.array(z.unknown())], {
    error: expected("text, or a mapping or list that is sent as JSON"),
  })
  .describe("Text as it is, or a mapping or list, which is sent as JSON.");

const status = z.union([wholeNumber(100, 599), pattern("a status", /^([1-5]xx|[1-5]\d\d|[1-5]\d\d-[1-5]\d\d)$/, STATUS_HINT)], {
  error: expected("a status", STATUS_HINT),
});

export const httpSchema = fields({
  method: pattern("an HTTP method", /^[A-Z][A-Z-]{0,31}$/, "in capital letters, such as POST")
    .describe("Default: GET.")
    .exactOptional(),
  url: line("an address", 8192).describe(`http:// or https://; \${NAME} stands for a variable, percent-encoded.`),
  headers: mapping(
    pattern("a header's name", /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, "letters, digits and dashes"),
    rawText("a header's value", 8192, 0),
    "header names and values",
  )
    .describe(`Headers of the request; \${NAME} stands for a variable.`)
    .exactOptional(),
  body: body.exactOptional(),
  expectStatus: list(status, "statuses", { min: 1, max: 50 }).describe("Which statuses are success. Default: [2xx].").exactOptional(),
  expectBody: regexText.describe("A regular expression that the beginning of the body (1 MiB) must match.").exactOptional(),
  maxRedirects: wholeNumber(0, 20).describe("How many redirects are followed. Default: 5.").exactOptional(),
  connectTimeout: durationField(100, HOUR).describe("Until the connection is there, with TLS. Default: 10s.").exactOptional(),
  idleTimeout: durationField(100, 24 * HOUR)
    .describe("The longest silence before the response or in the middle of it. Default: 1m.")
    .exactOptional(),
  proxy: line("a proxy's address", 2048).describe("http://[user:password@]host:port; default: none.").exactOptional(),
  tls: fields({
    ca: absolutePath.describe("PEM file on the node: the authorities that are trusted, instead of the usual ones.").exactOptional(),
    cert: absolutePath.describe("PEM file on the node: the client's certificate.").exactOptional(),
    key: absolutePath.describe("PEM file on the node: the client's key.").exactOptional(),
    passphrase: envName.describe("Of the key: the name of one of the job's secrets.").exactOptional(),
    serverName: pattern("a host name", /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/)
      .describe("The name that the server's certificate must have. Default: the address's.")
      .exactOptional(),
  })
    .describe("TLS: own authorities, a client certificate.")
    .exactOptional(),
}) satisfies z.ZodType<HttpSpec>;
