/** The console's beginning: puts its parts together and shows it. A login link's code leaves the address at once. */
import { effect, signal } from "@preact/signals";
import { render } from "preact";
import { createApiClient } from "../src/client/api.ts";
import { followEvents } from "../src/client/events.ts";
import { createRest } from "../src/client/rest.ts";
import { Console } from "./app.tsx";
import { readChoice, writeChoice } from "./base/choices.ts";
import { webClock } from "./base/clock.ts";
import { createRouter } from "./base/router.ts";
import { type App, AppProvider, type Notice, type Theme } from "./data/context.ts";
import { createFleet } from "./data/fleet.ts";
import { type Live, startLive } from "./data/live.ts";
import { createSession, LOGIN_CODES } from "./data/session.ts";
import { createWords, type Lang, pickLang } from "./i18n/i18n.ts";
import "./styles/console.css";

const NOTICE_MS = 6000;
const CSRF_HEADER = "x-fleetcron-csrf";

function createApp(): App {
  const clock = webClock;
  let csrf: string | undefined;
  const fetchOwn = async (url: string, init: RequestInit) => {
    const response = await fetch(url, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), ...(csrf === undefined ? {} : { [CSRF_HEADER]: csrf }) },
    });
    if (response.status === 401 && !url.endsWith("/session")) session.ended();
    return response;
  };
  const rest = createRest({ clock, fetch: fetchOwn }, { server: location.origin, token: undefined });
  const api = createApiClient(rest);
  const setCsrf = (value: string | undefined) => {
    csrf = value;
  };
  const session = createSession({ rest, setCsrf });
  const fleet = signal(createFleet({ clock, api, ready: Promise.resolve() }));
  const live = signal<Live | undefined>(undefined);
  const now = signal(clock.now());
  const notices = signal<readonly Notice[]>([]);
  const { lang, t } = createWords(readChoice<Lang>("lang", ["en", "zh"]) ?? pickLang(navigator.languages));
  const theme = signal<Theme>(readChoice<Theme>("theme", ["light", "dark"]) ?? "auto");
  let lastNotice = 0;

  const tick = () => {
    if (!document.hidden) now.value = clock.now();
    clock.after(1000 - (clock.now() % 1000), tick);
  };
  tick();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) now.value = clock.now();
  });
  effect(() => {
    document.documentElement.lang = lang.value === "zh" ? "zh-CN" : "en";
    writeChoice("lang", lang.value);
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    writeChoice("theme", theme.value);
  });
  // The stream lives as long as somebody is logged in.
  effect(() => {
    if (session.state.value.at !== "in") return;
    const following = Promise.withResolvers<void>();
    const own = createFleet({ clock, api, ready: following.promise });
    let isFollowing = false;
    const begin = () => {
      isFollowing = true;
      following.resolve();
    };
    fleet.value = own;
    const started = startLive(
      { clock },
      {
        follow: (lastId, ended) => followEvents(rest, "/api/v1/events", {}, lastId, ended),
        onChange: own.take,
        onReset: () => (isFollowing ? own.renew() : begin()),
        onAway: begin,
        isOver: (code) => LOGIN_CODES.includes(code),
        onOver: session.ended,
      },
    );
    live.value = started;
    return () => {
      started.stop();
      live.value = undefined;
    };
  });

  return {
    ...{ clock, rest, api, session, live, t, lang, theme, now, notices },
    router: createRouter(window),
    get fleet() {
      return fleet.value;
    },
    say(kind, text, problem) {
      const id = ++lastNotice;
      notices.value = [...notices.value.slice(-3), { id, kind, text, ...(problem === undefined ? {} : { problem }) }];
      if (problem !== undefined && LOGIN_CODES.includes(problem.code)) session.ended();
      if (kind === "good") clock.after(NOTICE_MS, () => (notices.value = notices.value.filter((notice) => notice.id !== id)));
    },
  };
}

async function start(): Promise<void> {
  const code = new URLSearchParams(location.hash.replace(/^#\/?\??/, "")).get("login");
  if (code !== null) history.replaceState(null, "", location.pathname);
  const app = createApp();
  const root = document.getElementById("app");
  if (root === null) return;
  render(
    <AppProvider value={app}>
      <Console />
    </AppProvider>,
    root,
  );
  if (code === null) await app.session.check();
  else await app.session.login({ code });
}

void start();
