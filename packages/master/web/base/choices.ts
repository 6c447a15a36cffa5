/** What a person has chosen for the console in this browser: language and appearance. Nothing secret is kept here. */

const PREFIX = "fleetcron.";

/** Undefined when nothing (valid) was chosen, or the browser keeps nothing. */
export function readChoice<T extends string>(name: string, allowed: readonly T[]): T | undefined {
  try {
    const value = localStorage.getItem(PREFIX + name);
    return allowed.find((one) => one === value);
  } catch {
    return undefined;
  }
}

export function writeChoice(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
