/** Statuses as `expectStatus` writes them: 200, "2xx", "200-204". Pure. */

const DEFAULT_EXPECTED: readonly (number | string)[] = ["2xx"];

/** Both ends included. */
function rangeOf(entry: number | string): { from: number; to: number } {
  const text = String(entry);
  if (text.endsWith("xx")) return { from: Number(`${text[0]}00`), to: Number(`${text[0]}99`) };
  const [from = "", to = from] = text.split("-");
  return { from: Number(from), to: Number(to) };
}

/** Absent: any of 2xx. */
export function isExpected(expected: readonly (number | string)[] | undefined, status: number): boolean {
  return (expected ?? DEFAULT_EXPECTED).map(rangeOf).some(({ from, to }) => status >= from && status <= to);
}

/** `200-204` but not `204-200`. */
export function isEmptyRange(entry: number | string): boolean {
  const { from, to } = rangeOf(entry);
  return from > to;
}

export function expectedWords(expected: readonly (number | string)[] | undefined): string {
  return (expected ?? DEFAULT_EXPECTED).join(", ");
}
