/**
 * Hopcroft–Karp: the greatest one-to-one matching of a bipartite graph, in O(edges · √vertices). Deterministic: of equal matchings the one that gives
 * earlier left vertices their earlier choices as far as it can.
 */

const FREE = -1;

/** `right[l]`: the partner of left vertex l, or -1; `left[r]` likewise. */
export type Matching = { readonly right: Int32Array; readonly left: Int32Array };

/** `edges[l]` are the right vertices (below `rights`) that left vertex l may have. */
export function matchOneToOne(edges: readonly (readonly number[])[], rights: number): Matching {
  const right = new Int32Array(edges.length).fill(FREE);
  const left = new Int32Array(rights).fill(FREE);
  for (let l = 0; l < edges.length; l++) {
    const r = edges[l]?.find((each) => left[each] === FREE);
    if (r === undefined) continue;
    right[l] = r;
    left[r] = l;
  }
  const open = [...right.keys()].filter((l) => right[l] === FREE && (edges[l]?.length ?? 0) > 0);
  if (open.length > 0) augmentAll(edges, right, left);
  return { right, left };
}

function augmentAll(edges: readonly (readonly number[])[], right: Int32Array, left: Int32Array): void {
  const level = new Int32Array(edges.length);
  const next = new Int32Array(edges.length);
  while (layers(edges, right, left, level)) {
    next.fill(0);
    for (let l = 0; l < edges.length; l++) if (right[l] === FREE) augment(edges, right, left, level, next, l);
  }
}

/** Breadth first from the free left vertices; false when no augmenting path is left. */
function layers(edges: readonly (readonly number[])[], right: Int32Array, left: Int32Array, level: Int32Array): boolean {
  const queue: number[] = [];
  for (let l = 0; l < edges.length; l++) {
    level[l] = right[l] === FREE ? 0 : -1;
    if (right[l] === FREE) queue.push(l);
  }
  let found = false;
  for (let at = 0; at < queue.length; at++) {
    const l = queue[at] ?? 0;
    for (const r of edges[l] ?? []) {
      const other = left[r] ?? FREE;
      if (other === FREE) found = true;
      else if (level[other] === -1) {
        level[other] = (level[l] ?? 0) + 1;
        queue.push(other);
      }
    }
  }
  return found;
}

/** Depth first along the layers, with a stack of its own: a path may be as long as the graph. */
function augment(
  edges: readonly (readonly number[])[],
  right: Int32Array,
  left: Int32Array,
  level: Int32Array,
  next: Int32Array,
  root: number,
): void {
  const path: number[] = [root];
  const taken: number[] = [];
  for (let l = path.at(-1); l !== undefined; l = path.at(-1)) {
    const index = next[l] ?? 0;
    const r = edges[l]?.[index];
    if (r === undefined) {
      level[l] = -1;
      path.pop();
      taken.pop();
      continue;
    }
    next[l] = index + 1;
    const other = left[r] ?? FREE;
    if (other === FREE) {
      taken.push(r);
      path.forEach((each, depth) => {
        const partner = taken[depth] ?? FREE;
        right[each] = partner;
        left[partner] = each;
      });
      return;
    }
    if (level[other] === (level[l] ?? 0) + 1) {
      taken.push(r);
      path.push(other);
    }
  }
}
