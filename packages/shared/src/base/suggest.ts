/** "Did you mean": the candidate nearest to a mistyped word. */
import { distance } from "fastest-levenshtein";

/** The candidate that differs from `word` by a slip of the pen, or undefined when none is near (at most a third of its letters, ignoring case and separators). */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = fold(word);
  let best: { candidate: string; cost: number } | undefined;
  for (const candidate of candidates) {
    const cost = distance(wanted, fold(candidate));
    const allowed = Math.ceil(Math.max(wanted.length, candidate.length) / 3);
    if (cost <= allowed && (best === undefined || cost < best.cost)) best = { candidate, cost };
  }
  return best?.candidate;
}

/** The hint for an unknown word: `did you mean "x"?`, else the list of what is allowed. */
export function suggestHint(word: string, candidates: readonly string[]): string {
  const near = suggest(word, candidates);
  return near === undefined ? `allowed: ${candidates.join(", ")}` : `did you mean "${near}"?`;
}

function fold(text: string): string {
  return text.toLowerCase().replace(/[-_ ]/g, "");
}
