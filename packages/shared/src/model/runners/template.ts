/** `${NAME}` in the texts of an http job: what a text is made of, and how values are put in. `$${` stands for a plain `${`. Pure. */

export type TemplatePart = { readonly text: string } | { readonly name: string };

/** The parts of a text, or what is wrong with it in words. */
export function parseTemplate(text: string): { readonly parts: readonly TemplatePart[] } | { readonly problem: string } {
  const parts: TemplatePart[] = [];
  let at = 0;
  for (const match of text.matchAll(/\$\$\{|\$\{([^{}]*\}?)/g)) {
    parts.push({ text: text.slice(at, match.index) });
    at = match.index + match[0].length;
    if (match[0] === `$\${`) {
      parts.push({ text: `\${` });
      continue;
    }
    const name = /^([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(match[1] ?? "")?.[1];
    if (name === undefined) return { problem: `"${match[0].slice(0, 40)}" is no variable such as \${NAME}` };
    parts.push({ name });
  }
  parts.push({ text: text.slice(at) });
  return { parts: parts.filter((part) => "name" in part || part.text !== "") };
}

/** `valueFor` gives what stands for a name, made fit for its place; `before`: the text so far, as it was written. */
export function fillTemplate(parts: readonly TemplatePart[], valueFor: (name: string, before: string) => string): string {
  let written = "";
  let filled = "";
  for (const part of parts) {
    filled += "text" in part ? part.text : valueFor(part.name, written);
    written += "text" in part ? part.text : `\${${part.name}}`;
  }
  return filled;
}

/** Every text in a value of plain JSON, with its path. Field names are none. */
export function textsIn(value: unknown, path: readonly (string | number)[] = []): { path: readonly (string | number)[]; text: string }[] {
  if (typeof value === "string") return [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((one, index) => textsIn(one, [...path, index]));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => textsIn(one, [...path, name]));
}
