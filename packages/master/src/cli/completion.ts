/** Completion scripts, made from the tree of commands: subcommands, options, and the values that an option allows. */
import type { Command, Option } from "commander";

type Shell = "bash" | "zsh" | "fish";

/** One command: the words that lead to it, and what may follow (`commands` also holds the values of its first argument). */
type Entry = { readonly path: string; readonly commands: readonly Word[]; readonly options: readonly OptionWord[] };
type Word = { readonly word: string; readonly text: string };
type OptionWord = Word & { readonly short: string | undefined; readonly takesValue: boolean; readonly values: readonly string[] };

export function completionScript(program: Command, shell: Shell): string {
  const entries = flatten(program, "");
  const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };
  return scripts[shell](program.name(), entries);
}

function flatten(command: Command, path: string): Entry[] {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...(path === "" ? [] : globalsOf(command))].map(optionWord);
  const values = (command.registeredArguments[0]?.argChoices ?? []).map((word) => ({ word, text: "" }));
  const commands = [...command.commands.map((sub) => ({ word: sub.name(), text: sub.summary() || sub.description() })), ...values];
  return [{ path, commands, options }, ...command.commands.flatMap((sub) => flatten(sub, `${path}${path === "" ? "" : " "}${sub.name()}`))];
}

function globalsOf(command: Command): readonly Option[] {
  return command.parent === null ? command.options.filter((option) => option.long !== "--version") : globalsOf(command.parent);
}

function optionWord(option: Option): OptionWord {
  return {
    word: option.long ?? option.short ?? "",
    short: option.long === undefined ? undefined : option.short,
    text: option.description,
    takesValue: option.required || option.optional,
    values: option.argChoices ?? [],
  };
}

/** Which words are commands, as `case` patterns: "job|job ls|…". */
function paths(entries: readonly Entry[]): string {
  return entries.flatMap((entry) => (entry.path === "" ? [] : [`"${entry.path}"`])).join("|");
}

/** The flags of all commands whose value is the next word, as `case` patterns. */
function valueFlags(entries: readonly Entry[]): string {
  const taking = entries.flatMap((entry) => entry.options).filter((option) => option.takesValue);
  return [...new Set(taking.flatMap(flagsOf))].join("|");
}

/** Values that are fixed, each with the places where they may stand: patterns of command and flag. */
function fixedValues(entries: readonly Entry[]): readonly { readonly values: string; readonly places: string }[] {
  const places = entries.flatMap(({ path, options }) =>
    options.flatMap((option) => flagsOf(option).map((flag) => ({ place: `"${path} ${flag}"`, values: option.values.join(" ") }))),
  );
  const byValues = Map.groupBy(places, ({ values }) => values);
  byValues.delete("");
  return [...byValues].map(([values, of]) => ({ values, places: of.map(({ place }) => place).join("|") }));
}

function flagsOf({ short, word }: OptionWord): string[] {
  return short === undefined ? [word] : [short, word];
}

function bashScript(name: string, entries: readonly Entry[]): string {
  return `# bash completion of ${name}: source <(${name} completion bash)
_${name}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" at="" word words="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "\${at:+$at }$word" in
      ${paths(entries)}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at $previous" in
${fixedValues(entries)
  .map(({ values, places }) => `    ${places}) COMPREPLY=($(compgen -W "${values}" -- "$cur")); return ;;\n`)
  .join("")}  esac
  case "$previous" in
    ${valueFlags(entries)}) return ;;
  esac
  case "$at" in
${entries.map((entry) => `    "${entry.path}") words="${[...entry.commands, ...entry.options].map((one) => one.word).join(" ")}" ;;\n`).join("")}  esac
  [[ "$cur" != -* ]] && words="$(printf '%s\\n' $words | grep -v '^-')"
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _${name} ${name}
`;
}

function zshScript(name: string, entries: readonly Entry[]): string {
  const described = (words: readonly Word[]) => words.map((one) => quote(`${one.word.replaceAll(":", "\\:")}:${one.text}`)).join(" ");
  return `#compdef ${name}
# zsh completion of ${name}: source <(${name} completion zsh)
_${name}() {
  local at="" word i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    word="\${words[i]}"
    case "\${at:+$at }$word" in
      ${paths(entries)}) at="\${at:+$at }$word" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${fixedValues(entries)
  .map(({ values, places }) => `    ${places}) compadd ${values}; return ;;\n`)
  .join("")}  esac
  case "\${words[CURRENT-1]}" in
    ${valueFlags(entries)}) _files; return ;;
  esac
  case "$at" in
${entries.map((entry) => `    "${entry.path}") commands=(${described(entry.commands)}); options=(${described(entry.options)}) ;;\n`).join("")}  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then _describe option options
  elif (( \${#commands} )); then _describe command commands
  else _files
  fi
}
compdef _${name} ${name}
`;
}

function fishScript(name: string, entries: readonly Entry[]): string {
  const all = valueFlags(entries);
  const lines = entries.flatMap((entry) => {
    const when = `-n ${quote(`__${name}_at "${entry.path}"`)}`;
    const commands = entry.commands.map((one) => `complete -c ${name} -f ${when} -a ${one.word} -d ${quote(one.text)}`);
    const options = entry.options.map((one) => {
      const value = one.values.length > 0 ? ` -x -a ${quote(one.values.join(" "))}` : one.takesValue ? " -r" : "";
      const flags = [one.short, one.word].flatMap((flag) =>
        flag === undefined ? [] : [flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`],
      );
      return `complete -c ${name} ${when} ${flags.join(" ")}${value} -d ${quote(one.text)}`;
    });
    return [...commands, ...options];
  });
  return `# fish completion of ${name}: ${name} completion fish | source
function __${name}_at
  set -l path ""
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
      case ${all.split("|").map(quote).join(" ")}
        set skip 1
        continue
    end
    switch (string trim "$path $word")
      case ${entries.flatMap((entry) => (entry.path === "" ? [] : [quote(entry.path)])).join(" ")}
        set path (string trim "$path $word")
    end
  end
  test "$path" = "$argv[1]"
end
${lines.join("\n")}
`;
}

/** In single quotes; bash, zsh and fish agree on this form only for text without quotes, so those become typographic ones. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "’").replaceAll("\\", "\\\\").replaceAll("\\\\:", "\\:")}'`;
}
