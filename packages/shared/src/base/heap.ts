/** A binary min-heap by `atMs`, first in first out among equals: what fires next is always at the top. */

export type HeapItem = { readonly atMs: number };

export class Heap<T extends HeapItem> {
  readonly #items: { item: T; seq: number }[] = [];
  #seq = 0;

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0]?.item;
  }

  push(item: T): void {
    const items = this.#items;
    items.push({ item, seq: this.#seq++ });
    let index = items.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(index, parent)) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined) return undefined;
    if (items.length > 0) {
      items[0] = last;
      this.#sink(0);
    }
    return top.item;
  }

  /** Keeps the items that `keep` accepts: used when stale entries outnumber live ones. */
  retain(keep: (item: T) => boolean): void {
    const kept = this.#items.filter((entry) => keep(entry.item));
    this.#items.length = 0;
    for (const entry of kept) this.#items.push(entry);
    for (let index = (kept.length >> 1) - 1; index >= 0; index--) this.#sink(index);
  }

  #sink(from: number): void {
    const size = this.#items.length;
    let index = from;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= size) return;
      const child = left + 1 < size && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(child, index)) return;
      this.#swap(index, child);
      index = child;
    }
  }

  #before(a: number, b: number): boolean {
    const x = this.#items[a];
    const y = this.#items[b];
    if (x === undefined || y === undefined) return false;
    return x.item.atMs < y.item.atMs || (x.item.atMs === y.item.atMs && x.seq < y.seq);
  }

  #swap(a: number, b: number): void {
    const x = this.#items[a];
    const y = this.#items[b];
    if (x === undefined || y === undefined) return;
    this.#items[a] = y;
    this.#items[b] = x;
  }
}
