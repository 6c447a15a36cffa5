/** The views as the routes of the API have them: while a request of a limited caller is worked on, they hold what is within its groups. */
import type { View } from "fleetcron-shared/store/view";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Views } from "../views.ts";
import { isVisible } from "./families.ts";

/** `groupsOf`: of the request that is worked on; undefined: all. Changes are told of all groups: who listens must look at them. */
export function scopeViews(views: Views, keys: Keys, groupsOf: () => readonly string[] | undefined): Views {
  function* shown<T>(view: View<T>, groups: readonly string[]): Generator<[key: string, value: T]> {
    for (const entry of view.entries()) if (isVisible(keys, groups, entry[0])) yield entry;
  }
  const scope = <T>(view: View<T>): View<T> => ({
    ...view,
    get(key) {
      const groups = groupsOf();
      return groups === undefined || isVisible(keys, groups, key) ? view.get(key) : undefined;
    },
    entries() {
      const groups = groupsOf();
      return groups === undefined ? view.entries() : shown(view, groups);
    },
    get size() {
      const groups = groupsOf();
      return groups === undefined ? view.size : [...shown(view, groups)].length;
    },
  });
  return {
    ...views,
    jobs: scope(views.jobs),
    stats: scope(views.stats),
    procs: scope(views.procs),
    pipelines: scope(views.pipelines),
  };
}
