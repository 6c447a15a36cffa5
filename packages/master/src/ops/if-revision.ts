/** The condition of a change: it is made only while its object is at the revision that the caller has seen. */
import { AppError } from "fleetcron-shared/base/errors";
import { absent, type Compare, exists, type Revision, unchanged } from "fleetcron-shared/store/kv";

/** `is`: the revision now, 0 when there is none. Throws `write/conflict`. */
export function checkRevision(what: string, ifRevision: Revision | undefined, is: Revision): void {
  if (ifRevision === undefined || ifRevision === is) return;
  throw new AppError(
    "write/conflict",
    `${what} is not at revision ${ifRevision}: ${is === 0 ? "there is none" : `it is at revision ${is}`}`,
    {
      hint: "read it again and repeat the change",
    },
  );
}

/** For a deletion. */
export function conditionOf(key: string, ifRevision: Revision | undefined): Compare {
  if (ifRevision === undefined) return exists(key);
  return ifRevision === 0 ? absent(key) : unchanged(key, ifRevision);
}
