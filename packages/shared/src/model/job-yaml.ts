/** Jobs as the text of a job file: what `job show -o yaml` and imports print, and what `parseJobFile` reads back to the same specs. */
import { Document, isScalar, visit } from "yaml";
import type { JobSpec } from "./job-spec.ts";

/** The text of a file with these jobs, in their order; scripts of several lines as blocks, small lists and mappings on one line. */
export function jobsToYaml(jobs: readonly { readonly group: string; readonly id: string; readonly spec: JobSpec }[]): string {
  const specs = new Map(jobs.map(({ group, id, spec }) => [`${group}/${id}`, spec]));
  const document = new Document({ jobs: specs }, { aliasDuplicateObjects: false });
  visit(document, {
    Pair(_, pair) {
      // Cron expressions and masks always in quotes: without them some would be aliases, others numbers.
      if (isScalar(pair.key) && isScalar(pair.value) && (pair.key.value === "timer" || pair.key.value === "umask"))
        pair.value.type = "QUOTE_DOUBLE";
    },
    Collection(key, node, path) {
      if (path.length > 4 && key !== null && node.items.every((item) => isShortScalar(item) || isShortPair(item))) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

function isShortPair(item: unknown): boolean {
  return typeof item === "object" && item !== null && "key" in item && "value" in item && isShortScalar(item.value);
}

function isShortScalar(node: unknown): boolean {
  return isScalar(node) && String(node.value).length <= 30 && !String(node.value).includes("\n");
}
