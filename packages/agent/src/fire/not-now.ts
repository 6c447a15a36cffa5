/** Which failures of etcd say nothing about what was asked for: it is away, or takes no writes at the moment (out of space, its own settings). Pure. */
import { isCode } from "fleetcron-shared/base/errors";

/** Whether to ask again as long as there is time. Anything else is a fault of our own. */
export function isNotNow(thrown: unknown): boolean {
  return isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/lease-gone", "etcd/refused");
}
