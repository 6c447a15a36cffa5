/** Notices (what somebody is to be told) and deliveries (what is sent to one channel at once): the values of `outbox` and `deliveries`. */
import type { NotifyEvent } from "./notify-rules.ts";

export type Severity = "bad" | "warn" | "good" | "info";

/** What a notice is about. `run` and `task` are those of a pipeline. */
export type NoticeSubject = {
  readonly kind: "job" | "pipeline" | "test";
  readonly group: string;
  readonly id: string;
  readonly name: string;
  readonly run?: string;
  readonly task?: string;
};

/** Plain facts about what happened, by the names of the record's or run's fields: for programs, and as rows for people. */
export type NoticeData = Readonly<Record<string, string | number | boolean>>;

/** The value of `outbox/<notice>`, put there in the transaction that makes the event a fact. */
export type Notice = {
  readonly v: 1;
  /** Stable: made of what it is about, so that a repeated transaction is the same notice. */
  readonly id: string;
  readonly at: string;
  /** The most important first. */
  readonly events: readonly NotifyEvent[];
  readonly severity: Severity;
  /** One line for people. */
  readonly title: string;
  readonly subject: NoticeSubject;
  readonly data: NoticeData;
  /** The end of the output; only channels with `output` show it. */
  readonly output?: string;
  readonly to: readonly { readonly channel: string; readonly mention: readonly string[] }[];
};

/** A notice within a delivery; `count` of the same kind about the same subject went into it, this is the newest. */
export type DeliveryItem = {
  readonly notice: Omit<Notice, "v" | "to">;
  readonly mention: readonly string[];
  readonly count: number;
};

/**
 * `open` takes further notices · `sealed` is being sent, with these notices and no others, until it succeeds or is given up ·
 * `delivered` · `failed` is given up, and can be retried.
 */
export type DeliveryState = "open" | "sealed" | "delivered" | "failed";

/** The value of `deliveries/<channel>/<delivery>`. Its id goes with every try. */
export type Delivery = {
  readonly v: 1;
  readonly id: string;
  readonly channel: string;
  readonly state: DeliveryState;
  readonly createdAt: string;
  readonly items: readonly DeliveryItem[];
  /** Notices that found no room. */
  readonly omitted: number;
  readonly tries: number;
  readonly sealedAt?: string;
  /** Sealed: not before. */
  readonly nextAt?: string;
  /** Delivered or failed. */
  readonly endedAt?: string;
  /** What the last try came to. */
  readonly last?: string;
};

/** How many notices are in a delivery. */
export function noticeCount(delivery: Pick<Delivery, "items" | "omitted">): number {
  return delivery.items.reduce((sum, { count }) => sum + count, delivery.omitted);
}
