/** Where something stands in what is sorted. */

/** How many of the `sorted` come before: the first place that `isBefore` is false of. Every one that it is true of stands before every other. */
export function placeOf<T>(sorted: readonly T[], isBefore: (item: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(sorted[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}
