/** Fields that the settings of several programs share (base/config-file.ts reads them). */
import { z } from "zod";
import { parseDuration } from "./duration.ts";
import { expected } from "./zod-issues.ts";

/** A duration as text, at least `minMs`. */
export function durationSetting(fallback: string, minMs: number) {
  return z
    .string({ error: expected(`a duration such as ${fallback}`) })
    .refine((text) => (parseDuration(text) ?? -1) >= minMs, { error: expected(`a duration of at least ${minMs} ms, such as ${fallback}`) })
    .default(fallback);
}

/** The value of a duration that has been checked, in milliseconds. */
export function durationMs(text: string): number {
  return parseDuration(text) ?? 0;
}

export const logLevelSetting = z
  .enum(["debug", "info", "warn", "error", "silent"])
  .default("info")
  .describe("debug, info, warn, error or silent");

/** How etcd is reached, and under which prefix. */
export const etcdSettings = {
  etcd: z.array(z.string()).min(1).default(["http://127.0.0.1:2379"]).describe("etcd endpoints"),
  etcdCa: z.string().exactOptional().describe("file with the CA certificate of etcd"),
  etcdCert: z.string().exactOptional().describe("file with the client certificate for etcd"),
  etcdKey: z.string().exactOptional().describe("file with the key of the client certificate"),
  etcdUser: z.string().exactOptional().describe("etcd user"),
  etcdPassword: z.string().exactOptional().describe("password of the etcd user"),
  prefix: z.string().default("/fleetcron").describe("prefix of all keys in etcd"),
};

/** The settings that must not be printed. */
export const SECRET_SETTINGS = ["etcdPassword"];
