/** The output of one attempt: follows while it is written, searches, goes anywhere in it. Only the lines in sight are in the page. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytes } from "../base/format.ts";
import { ansiPieces } from "../data/ansi.ts";
import { act, useApp } from "../data/context.ts";
import { findInLog } from "../data/log-search.ts";
import { createLogView, type LogView } from "../data/log-view.ts";
import { type LogLine, shownLines } from "../data/log-window.ts";
import { Badge, Card, Problem } from "./small.tsx";

const LINE_PX = 19;
const AROUND = 30;
const STEPS = 1000;

type Props = { execution: string; job: string | undefined; attempt: number | undefined; isRunning: boolean };

export function LogViewer({ execution, job, attempt, isRunning }: Props) {
  const { t, rest, clock } = useApp();
  const view = useMemo(() => createLogView({ rest, clock }, { execution, job, attempt }), [execution, attempt]);
  const [isSticky, setSticky] = useState(true);
  const [found, setFound] = useState<number | undefined>(undefined);
  useEffect(() => {
    if (isRunning) view.follow();
    else void view.toEnd();
    return view.stop;
  }, [view]);
  const window = view.window.value;
  const lines = useMemo(() => shownLines(window), [window]);
  const state = view.state.value;
  const problem = view.problem.value;
  const hasEnded = view.hasEnded.value || !isRunning;
  const show = (offset: number) => {
    setSticky(false);
    setFound(offset);
  };
  // Who goes elsewhere searches from there.
  const jump = (offset: number) => {
    setSticky(false);
    setFound(undefined);
    void view.jump(offset);
  };
  const toEnd = () => {
    setSticky(true);
    setFound(undefined);
    if (hasEnded) void view.toEnd();
    else view.follow();
  };
  return (
    <Card
      title={t("log.title")}
      id="log"
      more={
        <span class="dim">
          {state === "following" && <Badge tone="busy">{t("log.following")}</Badge>} {bytes(view.size.value)}
          {window.end > 0 && view.size.value > 0 && ` · ${t("log.shown", { from: bytes(window.start), to: bytes(window.end) })}`}
        </span>
      }
    >
      <div class="log-tools">
        <Search view={view} lines={lines} from={found} onFound={show} />
        <button type="button" onClick={() => jump(0)}>
          {t("log.start")}
        </button>
        <button type="button" aria-pressed={isSticky} onClick={toEnd}>
          {t(hasEnded ? "log.end" : "log.follow")}
        </button>
        {view.size.value > 1_000_000 && (
          <label>
            {t("log.place")}
            <input
              type="range"
              min={0}
              max={STEPS}
              value={Math.round((window.start / Math.max(1, view.size.value)) * STEPS)}
              onChange={(event) => jump(Math.floor((Number(event.currentTarget.value) / STEPS) * view.size.value))}
            />
          </label>
        )}
      </div>
      {problem !== undefined && <Problem problem={problem} />}
      {state === "loading" && <p role="status">{t("state.loading")}</p>}
      {lines.length === 0 && state !== "loading" && problem === undefined ? (
        <p class="empty">{t(hasEnded ? "log.empty" : "log.nothingYet")}</p>
      ) : (
        <Lines view={view} lines={lines} isSticky={isSticky} onSticky={setSticky} found={found} label={t("log.title")} />
      )}
    </Card>
  );
}

type LinesProps = {
  view: LogView;
  lines: readonly LogLine[];
  isSticky: boolean;
  onSticky(is: boolean): void;
  found: number | undefined;
  label: string;
};

function Lines({ view, lines, isSticky, onSticky, found, label }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 100 });
  const first = useRef<number | undefined>(undefined);
  const atTop = useRef(0);

  const look = () => {
    const element = box.current;
    if (element === null) return;
    const from = Math.max(0, Math.floor(element.scrollTop / LINE_PX) - AROUND);
    const to = Math.ceil((element.scrollTop + element.clientHeight) / LINE_PX) + AROUND;
    setRange((held) => (held.from === from && held.to === to ? held : { from, to }));
  };
  // The line that is looked at stays where it is when lines come or go before it.
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    if (isSticky) element.scrollTop = element.scrollHeight;
    else if (first.current !== undefined) {
      const index = lines.findIndex(({ offset }) => offset === first.current);
      const line = atTop.current;
      // It is gone: another part of the log is looked at, from its beginning.
      if (index < 0) element.scrollTop = 0;
      else if (index !== line) element.scrollTop += (index - line) * LINE_PX;
    }
    look();
  }, [lines]);
  useLayoutEffect(() => {
    const index = found === undefined ? -1 : lines.findIndex(({ offset }) => offset === found);
    if (index < 0 || box.current === null) return;
    box.current.scrollTop = Math.max(0, index * LINE_PX - box.current.clientHeight / 2);
    look();
  }, [found, lines]);

  const onScroll = () => {
    const element = box.current;
    if (element === null) return;
    look();
    const line = Math.floor(element.scrollTop / LINE_PX);
    first.current = lines[line]?.offset;
    atTop.current = line;
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 2 * LINE_PX;
    if (isAtEnd !== isSticky && (!isAtEnd || view.window.value.end >= view.size.value)) onSticky(isAtEnd);
    if (element.scrollTop < 20 * LINE_PX) void view.older();
    if (isAtEnd) void view.newer();
  };
  return (
    <div class="log" ref={box} role="region" aria-label={label} tabIndex={0} onScroll={onScroll}>
      <div class="log-lines" style={{ height: `${lines.length * LINE_PX}px` }}>
        {lines.slice(range.from, range.to).map((line, i) => (
          <Line key={line.offset} line={line} top={(range.from + i) * LINE_PX} isFound={line.offset === found} />
        ))}
      </div>
    </div>
  );
}

function Line({ line, top, isFound }: { line: LogLine; top: number; isFound: boolean }) {
  const { t } = useApp();
  const style = { transform: `translateY(${top}px)` };
  if (line.cut !== undefined) {
    return (
      <div class="log-line cut" style={style}>
        {t("log.cut", { size: bytes(line.cut) })}
      </div>
    );
  }
  return (
    <div class={isFound ? "log-line found" : "log-line"} style={style}>
      {ansiPieces(line.text).map((piece, i) => (
        <span
          key={i}
          class={piece.class}
          style={
            piece.color === undefined && piece.background === undefined
              ? undefined
              : { color: piece.color, backgroundColor: piece.background }
          }
        >
          {piece.text}
        </span>
      ))}
    </div>
  );
}

function Search({
  view,
  lines,
  from,
  onFound,
}: {
  view: LogView;
  lines: readonly LogLine[];
  from: number | undefined;
  onFound(offset: number): void;
}) {
  const app = useApp();
  const { t } = app;
  const [text, setText] = useState("");
  const [told, setTold] = useState<string | undefined>(undefined);
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const stop = () => {
    running.current?.abort();
    setTold(undefined);
  };
  const find = async (direction: "down" | "up") => {
    running.current?.abort();
    if (text === "") return;
    const own = new AbortController();
    running.current = own;
    setTold(t("log.searching"));
    await act(app, undefined, async () => {
      const place = from ?? (direction === "down" ? (lines[0]?.offset ?? 0) - 1 : Number.MAX_SAFE_INTEGER);
      const hit = await findInLog(view, { text, from: place, direction }, own.signal);
      if (own.signal.aborted) return;
      setTold(hit === undefined ? t("log.notFound") : undefined);
      if (hit === undefined) return;
      if (!view.window.value.lines.some(({ offset }) => offset === hit.offset)) await view.jump(Math.max(0, hit.offset - 20_000));
      onFound(hit.offset);
    });
    if (running.current === own) running.current = undefined;
  };
  return (
    <form
      class="inline"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        void find("down");
      }}
    >
      <input
        type="search"
        aria-label={t("log.search")}
        placeholder={t("log.search")}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" aria-label={t("log.down")} title={t("log.down")}>
        ↓
      </button>
      <button type="button" aria-label={t("log.up")} title={t("log.up")} onClick={() => void find("up")}>
        ↑
      </button>
      {told !== undefined && (
        <span role="status">
          {told}{" "}
          {running.current !== undefined && (
            <button type="button" class="quiet" onClick={stop}>
              {t("do.cancel")}
            </button>
          )}
        </span>
      )}
    </form>
  );
}
