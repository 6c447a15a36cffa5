/**
 * The zones of this process by name. This is the one process-wide memo of the model: it holds facts derived from the platform's zone
 * data, which cannot change while the process lives, so two users can neither disturb each other nor tell that they share it;
 * handing such a value through every call that compiles a schedule would buy nothing. It is bounded by the names that Intl knows.
 */
import { AppError } from "../../base/errors.ts";
import { suggest } from "../../base/suggest.ts";
import { createZone, type Zone } from "./zone.ts";

const zones = new Map<string, Zone>();

/** The zone of an IANA name (aliases such as `US/Eastern` included), or AppError `input/invalid` with the nearest name. */
export function zoneOf(name: string): Zone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const zone = tryZone(name);
  if (zone === undefined) {
    const message = `time zone "${name}" is not known`;
    const near = suggestZone(name);
    const hint = near === undefined ? "use a name of the IANA database such as Europe/Berlin, or UTC" : `did you mean "${near}"?`;
    throw new AppError("input/invalid", message, { hint, issues: [{ message, hint }] });
  }
  zones.set(name, zone);
  return zone;
}

function tryZone(name: string): Zone | undefined {
  try {
    return createZone(name);
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function suggestZone(name: string): string | undefined {
  const names = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  const city = `/${name.toLowerCase().replaceAll(" ", "_")}`;
  return names.find((candidate) => candidate.toLowerCase().endsWith(city)) ?? suggest(name, names);
}
