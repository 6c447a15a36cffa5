/** Where in the console one is: the part of the address behind `#`, as a signal. The server never sees it. */
import { type ReadonlySignal, signal } from "@preact/signals";

export type Route = { readonly path: readonly string[]; readonly query: URLSearchParams };

export type Router = {
  readonly route: ReadonlySignal<Route>;
  go(href: string): void;
  /** Changes one part of the query in place, without a step in the history. */
  setQuery(name: string, value: string): void;
};

/** `#/jobs/db/backup?tab=x`: each part of the path decoded. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decode),
    query: new URLSearchParams(query),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A link into the console, each part encoded. */
export function href(parts: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

export function createRouter(win: Window): Router {
  const route = signal(parseRoute(win.location.hash));
  win.addEventListener("hashchange", () => {
    route.value = parseRoute(win.location.hash);
  });
  return {
    route,
    go(to) {
      win.location.hash = to;
    },
    setQuery(name, value) {
      const { path, query } = route.value;
      const next = new URLSearchParams(query);
      if (value === "") next.delete(name);
      else next.set(name, value);
      const to = href(path, Object.fromEntries(next));
      win.history.replaceState(null, "", to);
      route.value = parseRoute(to);
    },
  };
}
