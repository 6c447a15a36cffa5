/** What a format makes of a delivery, and how it reads the answer. */
import type { Delivery } from "fleetcron-shared/model/notice";
import type { Message } from "../message.ts";

/** A POST of JSON. */
export type Post = { readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly body: string };
export type Answer = { readonly status: number; readonly body: string };
/** Undefined: accepted. */
export type Refusal = { readonly text: string; readonly retryAfterMs?: number };

/** What a delivery is sent with; `nowMs` is the time of this try. */
export type Parcel = { readonly delivery: Delivery; readonly message: Message; readonly nowMs: number };

/** What the chat platforms say: HTTP 200 with a code in the body. `codeNames`: where it stands, 0 is success. `busy`: codes that ask for patience. */
export function refusalInBody(answer: Answer, codeNames: readonly string[], busy: readonly number[]): Refusal | undefined {
  if (answer.status < 200 || answer.status > 299) return { text: `HTTP ${answer.status}` };
  const body = parseObject(answer.body);
  const code = codeNames.map((name) => body?.[name]).find((value) => typeof value === "number");
  if (code === 0) return undefined;
  if (code === undefined) return { text: "the answer is not that of the platform: is the address right?" };
  return { text: `the platform answered code ${code}`, ...(busy.includes(code as number) ? { retryAfterMs: 60_000 } : {}) };
}

/** Any 2xx is acceptance. */
export function refusalByStatus(answer: Answer): Refusal | undefined {
  return answer.status >= 200 && answer.status <= 299 ? undefined : { text: `HTTP ${answer.status}` };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Text that the small markdown of the Chinese platforms, which has no escapes, takes as it is. */
export function asPlain(text: string): string {
  return text.replace(/[<>[\]*`]/g, (char) => PLAIN[char] ?? char);
}

const PLAIN: Readonly<Record<string, string>> = { "<": "＜", ">": "＞", "[": "［", "]": "］", "*": "＊", "`": "＇" };
