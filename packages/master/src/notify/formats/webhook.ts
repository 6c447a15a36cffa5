/** `webhook`: all facts as JSON, signed as Standard Webhooks say (standardwebhooks.com). */
import { createHmac } from "node:crypto";
import type { Parcel, Post } from "./format.ts";

export function webhookPost(
  { delivery, message, nowMs }: Parcel,
  options: { url: string; secret: string | undefined; headers: Readonly<Record<string, string>>; output: boolean },
): Post {
  const body = JSON.stringify({
    type: "fleetcron.notices",
    id: delivery.id,
    channel: delivery.channel,
    timestamp: delivery.createdAt,
    severity: message.severity,
    title: message.title,
    notices: delivery.items.map(({ notice: { output, ...notice }, mention, count }) => ({
      ...notice,
      ...(options.output && output !== undefined ? { output } : {}),
      mention,
      count,
    })),
    omitted: delivery.omitted,
  });
  const timestamp = Math.floor(nowMs / 1000);
  return {
    url: options.url,
    headers: {
      ...options.headers,
      "webhook-id": delivery.id,
      "webhook-timestamp": String(timestamp),
      ...(options.secret === undefined ? {} : { "webhook-signature": signature(options.secret, delivery.id, timestamp, body) }),
    },
    body,
  };
}

/** `whsec_…` is a key in base 64, anything else is the key itself. */
export function signature(secret: string, id: string, timestamp: number, body: string): string {
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}
