/**
 * A table of any length: only the rows in sight (and a few around them) are in the page. All rows have the same height, which the page's width decides. The
 * keys j and k go from row to row; Enter follows the row's link, because that is what has the focus.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { onKey } from "./keyboard.ts";

export type Column<T> = {
  readonly title: string;
  /** A CSS class: width, and whether it stays on a phone. */
  readonly class?: string;
  cell(item: T): ComponentChildren;
};

const ROW_PX = 38;
const NARROW_ROW_PX = 74;
const NARROW = "(max-width: 700px)";
/** Rows beyond each edge. */
const AROUND = 8;

export function Rows<T>({
  label,
  items,
  columns,
  keyOf,
}: {
  label: string;
  items: readonly T[];
  columns: readonly Column<T>[];
  keyOf(item: T): string;
}) {
  const body = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 40 });
  const [rowPx, setRowPx] = useState(() => (matchMedia(NARROW).matches ? NARROW_ROW_PX : ROW_PX));
  const focused = useRef(-1);

  useLayoutEffect(() => {
    const media = matchMedia(NARROW);
    const look = () => {
      const px = media.matches ? NARROW_ROW_PX : ROW_PX;
      setRowPx(px);
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / px) - AROUND);
      const to = Math.ceil((innerHeight - top) / px) + AROUND;
      setRange((held) => (held.from === from && held.to === to ? held : { from, to: Math.max(to, from + 1) }));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [items.length]);

  useEffect(
    () =>
      onKey((key) => {
        if (key !== "j" && key !== "k") return false;
        const next = Math.max(0, Math.min(items.length - 1, focused.current + (key === "j" ? 1 : -1)));
        focused.current = next;
        const top = (body.current?.getBoundingClientRect().top ?? 0) + scrollY;
        const y = top + next * rowPx;
        if (y < scrollY + 80 || y > scrollY + innerHeight - 2 * rowPx) scrollTo({ top: Math.max(0, y - innerHeight / 2) });
        // The row may come into the page only now.
        const focus = () => body.current?.querySelector<HTMLElement>(`[aria-rowindex="${next + 2}"] a`)?.focus({ preventScroll: true });
        requestAnimationFrame(() => requestAnimationFrame(focus));
        return true;
      }),
    [items.length, rowPx],
  );

  const shown = items.slice(range.from, range.to);
  return (
    <div class="rows" role="table" aria-label={label} aria-rowcount={items.length + 1}>
      <div role="rowgroup">
        <div class="row head" role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <span key={column.title} role="columnheader" class={column.class}>
              {column.title}
            </span>
          ))}
        </div>
      </div>
      <div class="body" role="rowgroup" ref={body} style={{ height: `${items.length * rowPx}px` }}>
        {shown.map((item, i) => (
          <div
            key={keyOf(item)}
            class="row"
            role="row"
            aria-rowindex={range.from + i + 2}
            style={{ transform: `translateY(${(range.from + i) * rowPx}px)`, height: `${rowPx}px` }}
            onFocusCapture={() => {
              focused.current = range.from + i;
            }}
          >
            {columns.map((column) => (
              <span key={column.title} role="cell" class={column.class}>
                {column.cell(item)}
              </span>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}
