/** What every part of the console works with, handed down by preact. */
import type { ReadonlySignal, Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { ApiClient } from "../../src/client/api.ts";
import { type ProblemView, problemView } from "../../src/client/problem.ts";
import type { Rest } from "../../src/client/rest.ts";
import type { WebClock } from "../base/clock.ts";
import type { Router } from "../base/router.ts";
import type { Lang, Translate } from "../i18n/i18n.ts";
import type { Fleet } from "./fleet.ts";
import type { Live } from "./live.ts";
import type { Session, Who } from "./session.ts";

export type Theme = "auto" | "light" | "dark";
export type Notice = { readonly id: number; readonly kind: "good" | "bad"; readonly text: string; readonly problem?: ProblemView };

export type App = {
  readonly clock: WebClock;
  readonly rest: Rest;
  readonly api: ApiClient;
  readonly session: Session;
  readonly fleet: Fleet;
  readonly live: ReadonlySignal<Live | undefined>;
  readonly router: Router;
  readonly t: Translate;
  readonly lang: Signal<Lang>;
  readonly theme: Signal<Theme>;
  /** The wall clock, about once a second while the page is looked at. */
  readonly now: ReadonlySignal<number>;
  readonly notices: Signal<readonly Notice[]>;
  say(kind: Notice["kind"], text: string, problem?: ProblemView): void;
};

const AppContext = createContext<App | undefined>(undefined);
export const AppProvider = AppContext.Provider;

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error("a part of the console is shown outside of it");
  return app;
}

export function useWords(): Translate {
  return useApp().t;
}

/** Who is logged in, and whether such a one may change things. */
export function useWho(): { who: Who | undefined; mayChange: boolean; isAdmin: boolean } {
  const state = useApp().session.state.value;
  const who = state.at === "in" ? state.who : undefined;
  return { who, mayChange: who !== undefined && who.role !== "viewer", isAdmin: who?.role === "admin" && who.groups === undefined };
}

/** Does something at the master and says how it went; true when it went well. */
export async function act(app: App, done: string | undefined, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    if (done !== undefined) app.say("good", done);
    return true;
  } catch (thrown) {
    const problem = problemView(thrown);
    app.say("bad", problem.message, problem);
    return false;
  }
}
