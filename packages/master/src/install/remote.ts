/**
 * A host as an installation sees it: short scripts of sh over one connection. A script goes over standard input, in front of its data, so neither it nor its values are
 * seen in `ps`, and it does not matter which shell the user has. What goes wrong is told with the host's name and the step.
 */
import { readFileSync } from "node:fs";
import { AppError } from "fleetcron-shared/base/errors";
import { FAILURES } from "fleetcron-shared/model/failures";
import type { SshChannel, SshConnection } from "fleetcron-shared/ssh/connect";
import { SshError } from "fleetcron-shared/ssh/failure";

export type Script = "who" | "facts" | "unpack" | "activate" | "wait-ready" | "stop" | "remove";

export type RunScript = {
  /** What is being done, for messages: `looking at the host`. */
  readonly step: string;
  readonly script: Script;
  /** Shell variables of the script. */
  readonly vars: Readonly<Record<string, string>>;
  /** What follows the script on standard input. */
  readonly data?: readonly Uint8Array[];
  readonly onSent?: (bytes: number) => void;
};

/** The lines `name=value` that a script printed (the last one of each name counts), and all of them in order. */
export type Answer = { readonly values: Readonly<Record<string, string>>; readonly lines: readonly string[]; readonly text: string };

export type Remote = {
  /** Throws `install/refused` (the script said why), `install/failed`, `ssh/unreachable` or `ssh/refused`. */
  run(request: RunScript, asRoot: boolean): Promise<Answer>;
};

const KEPT_BYTES = 2 ** 20;

export function remoteOf(connection: SshConnection, host: string): Remote {
  return {
    async run(request, asRoot) {
      const text = scriptText(request);
      // Reads as many bytes as the script has, and not one of what follows.
      const command = `${asRoot ? "sudo -n " : ""}sh -c 'eval "$(dd bs=1 count=${Buffer.byteLength(text)} 2>/dev/null)"'`;
      let ended: Ended;
      try {
        const channel = await connection.exec(command);
        ended = await speak(channel, Buffer.from(text), request);
      } catch (error) {
        throw hostError(error, host, request.step);
      }
      if (ended.code === 0) return answerOf(ended.out);
      throw scriptError(ended, host, request.step);
    },
  };
}

/** A failure over SSH as an error for people, with what to do. */
export function hostError(error: unknown, host: string, step: string): unknown {
  if (!(error instanceof SshError)) return error;
  const { failure } = error;
  const message = failure.error.includes(host) ? `${step}: ${failure.error}` : `${host}: ${step}: ${failure.error}`;
  if (failure.type === "unreachable")
    return new AppError("ssh/unreachable", message, {
      cause: error,
      hint: "look at the host's name, its port, its sshd, and what is between",
    });
  return new AppError("ssh/refused", message, { cause: error, hint: todoOf(failure.code, host) });
}

function todoOf(code: Extract<SshError["failure"], { type: "failed" }>["code"], host: string): string {
  if (code === "ssh/hostKeyUnknown")
    return `compare the fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then \`fleetcron ssh trust ${host}\`, or --host-keys accept-new`;
  if (code === "ssh/auth")
    return "look at the user and at authorized_keys on the host; --key FILE, --password or a running ssh-agent are ways to log in";
  if (code === "ssh/key") return "mend what the error names: the path, chmod 600, or give the passphrase with --ask-passphrase";
  if (code === "ssh/connectionLost") return "look at the network and the host's sshd, and run it again";
  return FAILURES[code].todo;
}

type Ended = { readonly code: number | undefined; readonly out: string; readonly err: string };

function scriptText({ script, vars }: RunScript): string {
  const read = (name: string) => readFileSync(new URL(`./sh/${name}.sh`, import.meta.url), "utf8");
  const values = Object.entries(vars).map(([name, value]) => `${name}=${quote(value)}\n`);
  return `${values.join("")}${read("common")}${read(script)}`;
}

/** As one word of sh, whatever it holds. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function speak(channel: SshChannel, script: Uint8Array, { data = [], onSent }: RunScript): Promise<Ended> {
  const out = collect(channel);
  const err = collect(channel.stderr);
  let code: number | undefined;
  let isOpen = true;
  const closed = new Promise<void>((resolve) => {
    channel.on("exit", (status: number | null) => {
      code = status ?? undefined;
    });
    channel.on("error", () => {});
    channel.on("close", () => {
      isOpen = false;
      resolve();
    });
  });
  let sent = 0;
  for (const chunk of [script, ...data]) {
    // A script that has ended takes no more.
    if (!isOpen || !channel.writable) break;
    const hasRoom = channel.write(chunk);
    sent += chunk.length;
    onSent?.(sent);
    if (!hasRoom) await Promise.race([closed, new Promise<void>((resolve) => channel.once("drain", resolve))]);
  }
  channel.end();
  await closed;
  return { code, out: out(), err: err() };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    if (size < KEPT_BYTES) chunks.push(chunk);
    size += chunk.length;
  });
  return () => Buffer.concat(chunks).toString();
}

/** What a login shell prints of its own stands before the mark. */
function answerOf(out: string): Answer {
  const text = out.slice(out.indexOf("@@fleetcron@@\n") + "@@fleetcron@@\n".length);
  const lines = text.split("\n");
  const pairs = lines.flatMap((line): [string, string][] => {
    const at = line.indexOf("=");
    return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
  });
  return { text, lines, values: Object.fromEntries(pairs) };
}

function scriptError({ code, err, out }: Ended, host: string, step: string): AppError {
  const why = /^@why (.*)$/m.exec(err)?.[1];
  const todo = /^@todo (.*)$/m.exec(err)?.[1];
  if (why !== undefined) return new AppError("install/refused", `${host}: ${step}: ${why}`, todo === undefined ? {} : { hint: todo });
  if (code === undefined)
    return new AppError("install/failed", `${host}: ${step}: the connection was cut`, {
      hint: "look at the network and the host's sshd, and run it again: what has run so far still runs",
    });
  if (!out.includes("@@fleetcron@@"))
    return new AppError("install/refused", `${host}: ${step}: the user's login shell does not run commands: ${said(err || out, code)}`, {
      hint: "look at the login shell, at ForceCommand and at command= in authorized_keys",
    });
  return new AppError("install/failed", `${host}: ${step}: ${said(err, code)}`, { hint: "mend what the host says, and run it again" });
}

function said(text: string, code: number): string {
  const last = text.trim().split("\n").slice(-3).join("; ").slice(-400);
  return last === "" ? `it ended with exit code ${code}` : last;
}
