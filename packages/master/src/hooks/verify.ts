/** Whether a delivery comes from who knows the trigger's secret, as each platform shows that. Comparisons take the same time whatever differs. Pure. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { HookKind } from "fleetcron-shared/model/pipeline/trigger-spec";

/** As it came: signatures are over these very bytes. */
export type RawDelivery = { readonly headers: IncomingHttpHeaders; readonly body: Buffer };

/** Gitee's signature says when it was made; one that is older proves nothing. */
const GITEE_AGE_MS = 3_600_000;

export function isAuthentic(kind: HookKind, { headers, body }: RawDelivery, secret: string, nowMs: EpochMs): boolean {
  switch (kind) {
    case "gitlab":
      return isSame(headerOf(headers, "x-gitlab-token"), secret);
    case "github":
      return isSame(headerOf(headers, "x-hub-signature-256"), `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`);
    case "gitee": {
      const token = headerOf(headers, "x-gitee-token");
      const timestamp = headerOf(headers, "x-gitee-timestamp");
      const signature = createHmac("sha256", secret).update(`${timestamp}\n${secret}`).digest("base64");
      const isFresh = /^\d{1,15}$/.test(timestamp) && Math.abs(nowMs - Number(timestamp)) <= GITEE_AGE_MS;
      const isSigned = [signature, encodeURIComponent(signature)].map((one) => isSame(token, one)).includes(true);
      return isSame(token, secret) || (isSigned && isFresh);
    }
  }
}

/** A header that came once; empty for any other. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return typeof value === "string" ? value : "";
}

function isSame(given: string, known: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(known));
}
