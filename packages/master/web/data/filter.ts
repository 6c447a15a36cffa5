/** Search as one types: every word must be in the text, in any order; a word that begins with `-` must not. Pure. */

/** `text` in small letters. */
export function matchesWords(text: string, search: string): boolean {
  return search
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "" && word !== "-")
    .every((word) => (word.startsWith("-") ? !text.includes(word.slice(1)) : text.includes(word)));
}
