/** The only page that is seen without a session. */
import { useState } from "preact/hooks";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { SessionState } from "../data/session.ts";
import { Problem } from "../parts/small.tsx";

type Methods = { readonly oidc: { readonly name: string; readonly path: string } | null };

export function Login({ state }: { state: Extract<SessionState, { at: "out" }> }) {
  const { session, t, rest, lang } = useApp();
  const [token, setToken] = useState("");
  const [isBusy, setBusy] = useState(false);
  const methods = useFetched(() => rest.send<Methods>("GET", "/api/v1/session/methods"), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (token.trim() === "" || isBusy) return;
    setBusy(true);
    await session.login({ token: token.trim() });
    setBusy(false);
  };
  return (
    <main class="alone">
      <h1>Fleetcron</h1>
      {state.why === "ended" && <p role="alert">{t("login.ended")}</p>}
      {state.why === "left" && <p role="status">{t("login.left")}</p>}
      {state.problem !== undefined && state.why === "first" && <Problem problem={state.problem} />}
      <form onSubmit={submit}>
        <label for="token">{t("login.token")}</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={isBusy}>
          {t("login.do")}
        </button>
      </form>
      {methods.value?.oidc != null && (
        <p>
          <a class="button" href={methods.value.oidc.path}>
            {t("login.oidc", { name: methods.value.oidc.name })}
          </a>
        </p>
      )}
      <p class="dim">{t("login.hint")}</p>
      <button
        type="button"
        class="quiet"
        lang={lang.value === "en" ? "zh-CN" : "en"}
        onClick={() => {
          lang.value = lang.value === "en" ? "zh" : "en";
        }}
      >
        {lang.value === "en" ? "中文" : "English"}
      </button>
    </main>
  );
}
