/** The shape of `run.ssh`. What its fields mean together: ssh-check.ts. */
import { z } from "zod";
import { choice, expected, fields, list, wholeNumber } from "../../base/zod-issues.ts";
import { absolutePath, durationField, ENV_NAME_PATTERN, line, pattern, rawText } from "../job-fields.ts";
import type { SshSpec } from "./ssh-spec.ts";
import { parseSshTarget } from "./ssh-target.ts";

const MAX_TEXT = 48 * 1024;
const HOST_HINT = "[user@]host[:port], such as deploy@db1:2222, or an alias of the agent's ssh config";

const host = line("a host", 400).refine((text) => !("wrong" in parseSshTarget(text)), {
  error: (issue) => {
    const target = parseSshTarget(String(issue.input));
    return `${"wrong" in target ? target.wrong : expected("a host")(issue)}\n${HOST_HINT}`;
  },
});
const ownSecret = pattern("the name of one of the job's secrets", ENV_NAME_PATTERN, "as it stands under `secrets`");

export const sshSchema = fields({
  hosts: list(host, "hosts", { min: 1, max: 500 }).describe(`Where it runs: ${HOST_HINT}.`),
  script: rawText("a script", MAX_TEXT)
    .describe("Given to the shell on the host; may have many lines. Exactly one of script and argv.")
    .exactOptional(),
  argv: list(rawText("an argument", MAX_TEXT, 0), "arguments", { min: 1 })
    .describe("Program and arguments, which reach it as they are, without a shell.")
    .exactOptional(),
  shell: list(rawText("an argument", 4096), "arguments", { min: 1, max: 20 })
    .describe('Runs the script on the host. Default: ["/bin/sh", "-c"].')
    .exactOptional(),
  cwd: absolutePath.describe("Working directory on the host. Default: the user's home.").exactOptional(),
  stdin: rawText("text", MAX_TEXT, 0).describe("Standard input. Default: empty.").exactOptional(),
  auth: fields({
    agent: z
      .literal(true, { error: expected("true") })
      .describe("true: the ssh-agent of the agent's user (SSH_AUTH_SOCK).")
      .exactOptional(),
    key: absolutePath.describe("A private key file on the agent's host, readable by the agent alone.").exactOptional(),
    passphrase: ownSecret.describe("Of `key`: the name of one of the job's secrets.").exactOptional(),
    password: ownSecret.describe("The name of one of the job's secrets.").exactOptional(),
  })
    .describe("How to log in. Default: the ssh-agent if there is one, then the keys of the ssh config or the usual files.")
    .exactOptional(),
  hostKeys: choice(["strict", "accept-new"])
    .describe("strict (default): only hosts whose key is known. accept-new: an unknown host's key is taken over; a changed one is refused.")
    .exactOptional(),
  knownHosts: absolutePath.describe("Default: known_hosts of the agent's data folder, then ~/.ssh, then /etc/ssh.").exactOptional(),
  connectTimeout: durationField(100, 600_000).describe("Until the connection is there and logged in. Default: 15s.").exactOptional(),
  idleTimeout: durationField(1000, 3_600_000)
    .describe("How long a connection may give no answer before it counts as cut. Default: 45s.")
    .exactOptional(),
  maxParallel: wholeNumber(1, 500).describe("Most hosts at once. Default: 10.").exactOptional(),
}) satisfies z.ZodType<SshSpec>;
