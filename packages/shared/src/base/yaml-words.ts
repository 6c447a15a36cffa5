/** What a YAML syntax error means for the person who wrote the file. */
import type { YAMLError } from "yaml";

type Words = { readonly message: string; readonly hint?: string };

const WORDS: Partial<Record<YAMLError["code"], Words>> = {
  TAB_AS_INDENT: { message: "a tab is used to indent", hint: "indent with spaces" },
  BAD_INDENT: { message: "the indentation does not fit the lines above", hint: "or a bracket above is not closed" },
  MISSING_CHAR: { message: "a closing quote, bracket, comma or colon is missing here or above" },
  BLOCK_AS_IMPLICIT_KEY: { message: "this line holds more than one `name: value`", hint: 'put text that contains ": " in quotes' },
  MULTILINE_IMPLICIT_KEY: { message: "a name runs over several lines", hint: "a colon is missing, or the indentation is wrong" },
  BLOCK_IN_FLOW: { message: "an indented list or mapping cannot stand inside brackets" },
  BAD_SCALAR_START: { message: "a value cannot begin with this character", hint: 'put it in quotes, such as "@daily"' },
  BAD_ALIAS: { message: "a value cannot begin with * unless it names an anchor", hint: 'put it in quotes, such as "* * * * *"' },
  BAD_DQ_ESCAPE: { message: "this backslash escape does not exist in double quotes", hint: "use single quotes, or double the backslash" },
  TAG_RESOLVE_FAILED: { message: "tags (!name) are not supported here", hint: "remove the tag, or put the text in quotes" },
  NON_STRING_KEY: { message: "a field name must be text" },
  BAD_DIRECTIVE: { message: "this %-directive is not understood", hint: "remove the line, or put text that begins with % in quotes" },
  RESOURCE_EXHAUSTION: { message: "the file is nested too deeply" },
  UNEXPECTED_TOKEN: {
    message: "something is left over after the value",
    hint: 'put text with special characters in quotes, such as "*/5 * * * *"',
  },
};

/** The error in plain words; codes without an entry are faults that nobody makes by hand. */
export function syntaxWords(error: YAMLError): Words {
  return WORDS[error.code] ?? { message: `this is not valid YAML: ${error.message.toLowerCase()}` };
}
