/** The shape of declared parameters, of jobs and of pipelines, and what their fields mean together. */
import type { z } from "zod";
import { choice, fields, flag, found, list, type ShapeIssue } from "../../base/zod-issues.ts";
import { envName, ID_PATTERN, paragraphs, pattern, rawText } from "../job-fields.ts";
import { wrongValue } from "./params.ts";
import type { ParamSpec } from "./pipeline-spec.ts";

/** Longest value of a param. */
export const MAX_PARAM_TEXT = 8 * 1024;

/** The value of a param: text, in quotes where YAML would see a number or true. */
export const paramValue = rawText("text", MAX_PARAM_TEXT, 0);
export const itemName = pattern("a name", ID_PATTERN, "1 to 63 of a-z, 0-9, dot, underscore, dash; begins with a letter or digit");

/** A param of a job. */
const SHAPE = {
  name: envName.describe("Unique in its list; also the name of the variable."),
  value: paramValue.describe("The default.").exactOptional(),
  required: flag().describe("Must have a value before anything starts.").exactOptional(),
  readOnly: flag().describe("Once it has a value, nothing replaces it.").exactOptional(),
  type: choice(["text", "boolean", "enum", "secret"])
    .describe("text (default), boolean (true or false), enum (one of options) or secret (the name of a stored secret).")
    .exactOptional(),
  options: list(rawText("an option", 200), "options", { min: 1, max: 200 }).describe("The values of an enum.").exactOptional(),
  description: paragraphs("a description", 1000).describe("For people.").exactOptional(),
  usage: choice(["env", "template"])
    .describe(
      `env (default): a variable of the command. template: also replaces \${name} in the fields of run and env, but not inside a script.`,
    )
    .exactOptional(),
};

export const jobParams = list(fields(SHAPE) satisfies z.ZodType<ParamSpec>, "params", { max: 100 });

export const pipelineParams = list(
  fields({
    ...SHAPE,
    scope: fields({
      stages: list(itemName, "names of stages", { min: 1 }).describe("All tasks of these.").exactOptional(),
      tasks: list(itemName, "names of tasks", { min: 1 }).describe("These tasks.").exactOptional(),
    })
      .describe("The stages and tasks that see it. Default: all.")
      .exactOptional(),
  }) satisfies z.ZodType<ParamSpec>,
  "params",
  { max: 100 },
);

/** What is wrong with a well-shaped list of declarations; paths begin inside the list. */
export function checkParams(params: readonly ParamSpec[]): ShapeIssue[] {
  return params.flatMap((param, index) => {
    const issues: ShapeIssue[] = [];
    const refuse = (field: string, message: string, hint?: string) =>
      issues.push({ path: [index, field], message, ...(hint === undefined ? {} : { hint }) });
    const first = params.findIndex((other) => other.name === param.name);
    if (first < index) refuse("name", `"${param.name}" is declared by [${first}] already`, "keep one of them");
    if (param.type === "enum" && param.options === undefined)
      refuse("options", "are missing; an enum needs them", "such as options: [dev, prod]");
    if (param.type !== "enum" && param.options !== undefined) refuse("options", "are only for type enum", "add type: enum");
    if (param.type === "secret" && param.usage === "template")
      refuse("usage", "a secret is given to the command as a variable only", "remove usage: template");
    const wrong = param.value === undefined || param.value === "" ? undefined : wrongValue(param, param.value);
    if (wrong !== undefined) refuse("value", `${found(param.value)}; ${wrong}`);
    return issues;
  });
}
