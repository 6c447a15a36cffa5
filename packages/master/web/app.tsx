/** The frame around every page: navigation, how the connection stands, notices, help; and what is shown instead while nobody is logged in. */
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { href, type Route } from "./base/router.ts";
import { useApp, useWords } from "./data/context.ts";
import type { Word } from "./i18n/i18n.ts";
import { Audit } from "./pages/audit.tsx";
import { Channels } from "./pages/channels.tsx";
import { ExecutionPage } from "./pages/execution.tsx";
import { Executions } from "./pages/executions.tsx";
import { Forecast } from "./pages/forecast.tsx";
import { Help } from "./pages/help.tsx";
import { JobPage } from "./pages/job.tsx";
import { Jobs } from "./pages/jobs.tsx";
import { Login } from "./pages/login.tsx";
import { NodePage } from "./pages/node.tsx";
import { Nodes } from "./pages/nodes.tsx";
import { Overview } from "./pages/overview.tsx";
import { PipelinePage } from "./pages/pipeline.tsx";
import { Pipelines } from "./pages/pipelines.tsx";
import { RunPage } from "./pages/run.tsx";
import { Runs } from "./pages/runs.tsx";
import { Tokens } from "./pages/tokens.tsx";
import { Header } from "./parts/header.tsx";
import { useGlobalKeys } from "./parts/keyboard.ts";
import { Notices } from "./parts/notices.tsx";
import { Problem } from "./parts/small.tsx";

export type Place = { readonly word: Word; readonly path: readonly string[]; readonly one?: number; readonly page: ComponentType };

/** `one`: how many parts of the path name one thing of it. */
const PAGES: readonly Place[] = [
  { word: "nav.overview", path: [], page: Overview },
  { word: "nav.jobs", path: ["jobs"], page: Jobs },
  { word: "nav.jobs", path: ["jobs"], one: 2, page: JobPage },
  { word: "nav.executions", path: ["executions"], page: Executions },
  { word: "nav.executions", path: ["executions"], one: 1, page: ExecutionPage },
  { word: "nav.nodes", path: ["nodes"], page: Nodes },
  { word: "nav.nodes", path: ["nodes"], one: 1, page: NodePage },
  { word: "nav.pipelines", path: ["pipelines"], page: Pipelines },
  { word: "nav.pipelines", path: ["pipelines"], one: 2, page: PipelinePage },
  { word: "nav.runs", path: ["runs"], page: Runs },
  { word: "nav.runs", path: ["runs"], one: 1, page: RunPage },
  { word: "nav.forecast", path: ["forecast"], page: Forecast },
  { word: "nav.channels", path: ["channels"], page: Channels },
  { word: "nav.tokens", path: ["tokens"], page: Tokens },
  { word: "nav.audit", path: ["audit"], page: Audit },
];

function placeOf({ path }: Route): Place | undefined {
  return PAGES.find((place) => path.length === place.path.length + (place.one ?? 0) && place.path.every((part, i) => path[i] === part));
}

export function Console() {
  const { session, t } = useApp();
  const state = session.state.value;
  switch (state.at) {
    case "checking":
      return (
        <main class="alone" aria-busy="true">
          <p role="status">{t("state.loading")}</p>
        </main>
      );
    case "away":
      return (
        <main class="alone">
          <h1>Fleetcron</h1>
          <Problem problem={state.problem} />
          <button type="button" onClick={() => void session.check()}>
            {t("do.again")}
          </button>
        </main>
      );
    case "out":
      return <Login state={state} />;
    case "in":
      return <Frame />;
  }
}

function Frame() {
  const { router, t } = useApp();
  const [isHelping, setHelping] = useState(false);
  const main = useRef<HTMLElement>(null);
  const route = router.route.value;
  const place = placeOf(route);
  const key = route.path.join("/");
  useGlobalKeys(() => setHelping(true));
  useEffect(() => {
    document.title = [...route.path.slice(1), place === undefined ? "" : t(place.word), "Fleetcron"]
      .filter((part) => part !== "")
      .join(" · ");
    scrollTo({ top: 0 });
    // A screen reader begins to read the new page.
    if (document.activeElement === null || document.activeElement === document.body) main.current?.focus({ preventScroll: true });
  }, [key]);
  const Page = place?.page ?? NotFound;
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        {t("nav.skip")}
      </button>
      <Header current={place?.word} onHelp={() => setHelping(true)} />
      <main id="main" ref={main} tabIndex={-1}>
        <Page key={key} />
      </main>
      <Notices />
      {isHelping && <Help onClose={() => setHelping(false)} />}
    </>
  );
}

function NotFound() {
  const t = useWords();
  return (
    <>
      <h1>{t("page.none")}</h1>
      <p>
        <a href={href([])}>{t("nav.overview")}</a>
      </p>
    </>
  );
}
