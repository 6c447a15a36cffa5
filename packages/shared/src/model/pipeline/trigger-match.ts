/** Names of branches and tags against patterns: globs, and regular expressions between slashes. Pure. */

/** The regular expression that a pattern stands for; throws a SyntaxError for `/…/` that is none. */
export function patternToRegExp(pattern: string): RegExp {
  const between = /^\/(.*)\/$/.exec(pattern)?.[1];
  if (between !== undefined) return new RegExp(between);
  const source = pattern.replace(/\*\*|[*?.+^${}()|[\]\\]/g, (char) =>
    char === "**" ? ".*" : char === "*" ? "[^/]*" : char === "?" ? "[^/]" : `\\${char}`,
  );
  return new RegExp(`^${source}$`);
}
