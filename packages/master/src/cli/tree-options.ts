/** Options and parsers that several commands share. */
import type { Command } from "commander";
import { parseCount } from "./arguments.ts";

/** --limit and --sort; --group and -l where they mean something. */
export function addListOptions(command: Command, has: { group?: boolean; label?: boolean }): Command {
  command
    .option("--limit <number>", "at most so many", count("--limit", 1, 100_000))
    .option("--sort <column>", "by this column; -column turns it round");
  if (has.group === true) command.option("--group <group>", "only of this group");
  if (has.label === true)
    command.option("-l, --label <name=value>", "only with this label, or without it: name!=value; repeatable", collect);
  return command;
}

/** --job and --node. */
export function addJobAndNode(command: Command): Command {
  return command.option("--job <job>", "only of this job").option("--node <id>", "only of this node");
}

export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

export function count(option: string, min: number, max: number): (text: string) => number {
  return (text) => parseCount(text, option, min, max);
}
