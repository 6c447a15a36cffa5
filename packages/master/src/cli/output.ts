/** Prints what a command found in the format asked for: tables and detail lines for people, the REST objects as JSON or YAML, names for scripts. */
import type { Context } from "./context.ts";
import { plain, plainColoured } from "./human.ts";

/** How a list is shown. `empty` is told on standard error, so scripts read nothing. */
export type ListShape<T> = {
  readonly name: (item: T) => string;
  readonly columns: readonly Column<T>[];
  readonly empty: string;
};
/** `cell` may hold our colours; other control characters in it are shown. `sort` where the text does not sort as the value does. */
export type Column<T> = { readonly title: string; readonly cell: (item: T) => string; readonly sort?: (item: T) => string | number };

/** A list; `more` when it was cut. */
export async function printList<T>(
  context: Context,
  page: { readonly items: readonly T[]; readonly more: boolean },
  shape: ListShape<T>,
): Promise<void> {
  const { io } = context;
  const format = context.options().output ?? "table";
  if (format === "json" || format === "yaml") await printValue(context, { items: page.items }, format);
  else if (page.items.length === 0) io.err(`${shape.empty}\n`);
  else if (format === "name") io.out(`${page.items.map(shape.name).map(plain).join("\n")}\n`);
  else io.out(await tableText(context, shape.columns, page.items));
  if (page.more) io.err(`only the first ${page.items.length} are shown; --limit gives more\n`);
}

/** One object: `text` for people, else the object itself. */
export async function printOne<T>(
  context: Context,
  item: T,
  shape: { name: (item: T) => string; text: (item: T) => string | Promise<string> },
): Promise<void> {
  const format = context.options().output ?? "table";
  if (format === "json" || format === "yaml") return printValue(context, item, format);
  context.io.out(format === "name" ? `${plain(shape.name(item))}\n` : await shape.text(item));
}

export async function printValue(context: Context, value: unknown, format: "json" | "yaml"): Promise<void> {
  context.io.out(format === "json" ? `${JSON.stringify(value, undefined, 2)}\n` : await yamlText(value));
}

export async function yamlText(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
}

/** Columns side by side, two spaces apart, as wide as their widest cell; characters that fill two cells are counted so. */
export async function tableText<T>(context: Pick<Context, "paint">, columns: readonly Column<T>[], items: readonly T[]): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const none = Object.fromEntries(
    [
      "top",
      "top-mid",
      "top-left",
      "top-right",
      "bottom",
      "bottom-mid",
      "bottom-left",
      "bottom-right",
      "left",
      "left-mid",
      "mid",
      "mid-mid",
      "right",
      "right-mid",
    ].map((name) => [name, ""]),
  );
  const table = new Table({
    chars: { ...none, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0, compact: true },
    head: columns.map((column) => context.paint("bold", column.title)),
  });
  for (const item of items) table.push(columns.map((column) => plainColoured(column.cell(item))));
  return `${table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

/** `name:  value` lines, the names in one column; fields without a value are left out. */
export function detailText(context: Pick<Context, "paint">, fields: readonly (readonly [string, string | number | undefined])[]): string {
  const shown = fields.filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(0, ...shown.map(([name]) => name.length)) + 2;
  return shown.map(([name, value]) => `${context.paint("bold", `${name}:`.padEnd(width))}${plainColoured(String(value))}\n`).join("");
}

/** Sorts by a column's title (any case; `-` before it turns the order round). */
export function sortByColumn<T>(items: readonly T[], columns: readonly Column<T>[], wanted: string): T[] | undefined {
  const column = columns.find((one) => one.title.toLowerCase() === wanted.replace(/^-/, "").toLowerCase());
  if (column === undefined) return undefined;
  const key = column.sort ?? column.cell;
  const sign = wanted.startsWith("-") ? -1 : 1;
  return items.toSorted((a, b) => sign * compare(key(a), key(b)));
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}
