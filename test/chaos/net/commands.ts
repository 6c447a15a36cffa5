/** Running programs of the system for the harness: never those of the same name that npm packages put on the PATH (there is an `nft` among them). */
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";

/** The path of a program of the system, or its bare name with a `/` that leads nowhere, so that nothing else is run in its place. */
export function systemProgram(name: string): string {
  const found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map((folder) => `${folder}/${name}`).find((path) => existsSync(path));
  return found ?? `/nowhere/${name}`;
}

export const IP = systemProgram("ip");
export const NFT = systemProgram("nft");
export const TC = systemProgram("tc");
export const NSENTER = systemProgram("nsenter");

/** Runs it to its end; throws with what it wrote to stderr. */
export function run(command: readonly string[], input = ""): string {
  const [file = "", ...args] = command;
  try {
    return execFileSync(file, args, { encoding: "utf8", input, stdio: ["pipe", "pipe", "pipe"] });
  } catch (thrown) {
    const { stderr } = thrown as { stderr?: string };
    throw new Error(`${command.join(" ")}: ${stderr?.trim() || String(thrown)}`, { cause: thrown });
  }
}

/** Whether it ends with exit code 0. */
export function works(command: readonly string[], input = ""): boolean {
  try {
    run(command, input);
    return true;
  } catch {
    return false;
  }
}

/** Likewise, without holding up everything else. */
export function runAsync(command: readonly string[], input = ""): Promise<void> {
  const [file = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["pipe", "ignore", "pipe"] });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${command.join(" ")}: ${errors.trim()}`))));
    // Programs that read nothing may be gone already.
    child.stdin.once("error", () => {});
    child.stdin.end(input);
  });
}
