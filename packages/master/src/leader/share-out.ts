/** Records for several transactions at a time: those of one job stay together, because they are counted in one place. Pure. */
import { toKey } from "../job-ref.ts";
import { FILING_BATCH, type FilingItem } from "./filing.ts";

/** As few shares of about one transaction as there may be; each keeps the order of its items. */
export function shareOut(items: readonly FilingItem[]): FilingItem[][] {
  const shares: FilingItem[][] = Array.from({ length: Math.ceil(items.length / FILING_BATCH) }, () => []);
  const byJob = Map.groupBy(items, ({ record }) => toKey({ group: record.jobGroup, id: record.jobId }));
  for (const ofJob of byJob.values()) {
    const least = shares.reduce((one, other) => (other.length < one.length ? other : one));
    least.push(...ofJob);
  }
  return shares.filter((share) => share.length > 0);
}
