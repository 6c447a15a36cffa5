/** Deliveries as Git platforms make them: recorded payloads, signed as each platform documents it. */
import { createHmac, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type Delivery = { readonly headers: Record<string, string>; readonly body: string };
export const HOOK_SECRET = "hook-secret-0815";

export const payload = (name: string): string => readFileSync(new URL(`../fixtures/hooks/${name}.json`, import.meta.url), "utf8");

/** The folder of a master's secrets, with one that triggers name as `{ file: hook }`. */
export function secretsFolder(folder: string): string {
  const path = join(folder, "secrets");
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "hook"), `${HOOK_SECRET}\n`, { mode: 0o600 });
  return path;
}

export function gitlab(body: string, more: Record<string, string> = {}): Delivery {
  const headers = { "content-type": "application/json", "x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": randomUUID() };
  return { body, headers: { ...headers, "idempotency-key": randomUUID(), "x-gitlab-token": HOOK_SECRET, ...more } };
}

export function github(body: string, more: Record<string, string> = {}): Delivery {
  const signature = `sha256=${createHmac("sha256", HOOK_SECRET).update(body).digest("hex")}`;
  const headers = { "content-type": "application/json", "x-github-event": "push", "x-github-delivery": randomUUID() };
  return { body, headers: { ...headers, "x-hub-signature-256": signature, ...more } };
}

/** `signedMs`: with a signature made then, else with the password. */
export function gitee(body: string, signedMs?: number): Delivery {
  const headers = { "content-type": "application/json", "x-gitee-event": "Push Hook", "user-agent": "git-oschina-hook" };
  if (signedMs === undefined) return { body, headers: { ...headers, "x-gitee-token": HOOK_SECRET } };
  const signature = createHmac("sha256", HOOK_SECRET).update(`${signedMs}\n${HOOK_SECRET}`).digest("base64");
  return { body, headers: { ...headers, "x-gitee-timestamp": String(signedMs), "x-gitee-token": encodeURIComponent(signature) } };
}

export type HookReply = { readonly status: number; readonly body: Record<string, unknown>; readonly headers: Headers };

export async function deliver(master: { readonly url: string }, path: string, { headers, body }: Delivery): Promise<HookReply> {
  const response = await fetch(`${master.url}/api/v1/hooks/${path}`, { method: "POST", headers, body });
  return { status: response.status, body: (await response.json()) as Record<string, unknown>, headers: response.headers };
}
