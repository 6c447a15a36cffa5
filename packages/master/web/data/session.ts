/** Who is logged in: by the session cookie that the master has set (no script can read it), with the token that changes must carry. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { type ProblemView, problemView } from "../../src/client/problem.ts";
import type { Rest } from "../../src/client/rest.ts";

export type Who = {
  readonly name: string;
  readonly role: "viewer" | "operator" | "admin";
  readonly groups?: readonly string[] | undefined;
  readonly csrf?: string | undefined;
  readonly expiresAt?: string | undefined;
};
export type SessionState =
  | { readonly at: "checking" }
  | { readonly at: "out"; readonly why: "first" | "ended" | "left"; readonly problem?: ProblemView }
  /** Nobody knows: the master does not answer. */
  | { readonly at: "away"; readonly problem: ProblemView }
  | { readonly at: "in"; readonly who: Who };

export type Session = {
  readonly state: ReadonlySignal<SessionState>;
  /** Asks the master who one is. */
  check(): Promise<void>;
  /** With a token, or with the code of a login link. */
  login(by: { token: string } | { code: string }): Promise<void>;
  logout(): Promise<void>;
  /** The master says that there is no session any more. */
  ended(): void;
};

const PATH = "/api/v1/session";
/** Codes that say that one must log in. */
export const LOGIN_CODES: readonly string[] = ["auth/missing", "auth/session", "auth/expired", "auth/revoked"];

export function createSession(deps: { rest: Rest; setCsrf(csrf: string | undefined): void }): Session {
  const state = signal<SessionState>({ at: "checking" });

  function enter(who: Who): void {
    deps.setCsrf(who.csrf);
    state.value = { at: "in", who };
  }

  async function check(): Promise<void> {
    try {
      enter(await deps.rest.send<Who>("GET", PATH));
    } catch (thrown) {
      const problem = problemView(thrown);
      if (LOGIN_CODES.includes(problem.code)) {
        const hadOne = problem.code !== "auth/missing";
        state.value = { at: "out", why: hadOne ? "ended" : "first", ...(hadOne ? { problem } : {}) };
      } else state.value = { at: "away", problem };
    }
  }

  return {
    state,
    check,
    async login(by) {
      try {
        enter(await deps.rest.send<Who>("POST", PATH, { body: by }));
      } catch (thrown) {
        const out: SessionState = { at: "out", why: "first", problem: problemView(thrown) };
        // Whoever follows a link for the second time may still have the session that it began.
        const held = "code" in by ? await deps.rest.send<Who>("GET", PATH).catch(() => undefined) : undefined;
        if (held === undefined) state.value = out;
        else enter(held);
      }
    },
    async logout() {
      await deps.rest.send("DELETE", PATH).catch(() => {});
      deps.setCsrf(undefined);
      state.value = { at: "out", why: "left" };
    },
    ended() {
      if (state.value.at === "in") state.value = { at: "out", why: "ended" };
    },
  };
}
