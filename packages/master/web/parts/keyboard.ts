/** Keys of the whole page. They do nothing while somebody writes, holds Ctrl, Alt or Meta, or has a dialog open. */
import { useEffect } from "preact/hooks";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";

/** `g`, then the letter. */
export const PLACES: Readonly<Record<string, readonly string[]>> = {
  o: [],
  j: ["jobs"],
  e: ["executions"],
  n: ["nodes"],
  p: ["pipelines"],
  r: ["runs"],
  f: ["forecast"],
  c: ["channels"],
  t: ["tokens"],
  a: ["audit"],
};
const CHORD_MS = 1500;

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Calls `take` for keys that are meant for the page; what it takes (true) goes no further. Returns what ends it. */
export function onKey(take: (key: string) => boolean): () => void {
  const listen = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || isWriting(event.target)) return;
    if (document.querySelector("dialog[open]") !== null) return;
    if (take(event.key)) event.preventDefault();
  };
  addEventListener("keydown", listen);
  return () => removeEventListener("keydown", listen);
}

/** The keys that work everywhere; `help` opens the list of them. */
export function useGlobalKeys(help: () => void): void {
  const app = useApp();
  useEffect(() => {
    let chordUntilMs = 0;
    // Out of a field, to where the other keys work.
    const leave = ({ key, target }: KeyboardEvent) => {
      if (key === "Escape" && target instanceof HTMLInputElement) target.blur();
    };
    addEventListener("keydown", leave);
    const stop = onKey((key) => {
      const inChord = app.clock.mono() < chordUntilMs;
      chordUntilMs = 0;
      const place = inChord && Object.hasOwn(PLACES, key) ? PLACES[key] : undefined;
      if (place !== undefined) app.router.go(href(place));
      else if (key === "g") chordUntilMs = app.clock.mono() + CHORD_MS;
      else if (key === "?") help();
      else if (key === "/") {
        const search = document.querySelector<HTMLInputElement>("main input[type=search]");
        if (search === null) app.router.go(href(["jobs"]));
        else {
          search.focus();
          search.select();
        }
      } else return false;
      return true;
    });
    return () => {
      removeEventListener("keydown", leave);
      stop();
    };
  }, []);
}
