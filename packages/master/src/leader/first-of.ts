/** The first at most `count` values. */
export function firstOf<T>(values: Iterable<T>, count: number): T[] {
  const found: T[] = [];
  if (count <= 0) return found;
  for (const value of values) {
    found.push(value);
    if (found.length >= count) break;
  }
  return found;
}
