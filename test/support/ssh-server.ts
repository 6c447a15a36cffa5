/** SSH servers that OpenSSH cannot be without PAM or root: passwords, keyboard-interactive, odd answers. Commands are run for real. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import ssh2 from "ssh2";

export type PasswordServer = AsyncDisposable & { readonly port: number; readonly tried: string[] };

export type PasswordServerOptions = {
  /** PEM or OpenSSH text of the host key. */
  readonly hostKey: string;
  readonly password: string;
  /** Which way it takes. */
  readonly method: "password" | "keyboard-interactive";
};

export async function startPasswordServer(options: PasswordServerOptions): Promise<PasswordServer> {
  const tried: string[] = [];
  const server = new ssh2.Server({ hostKeys: [readFileSync(options.hostKey)] }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (context) => {
      tried.push(context.method);
      if (context.method !== options.method) return context.reject([options.method]);
      if (context.method === "password") return context.password === options.password ? context.accept() : context.reject([options.method]);
      if (context.method !== "keyboard-interactive") return;
      context.prompt([{ prompt: "Password: ", echo: false }], (answers) =>
        answers[0] === options.password ? context.accept() : context.reject(),
      );
    });
    client.on("session", (accept) => {
      accept().on("exec", (acceptExec, _reject, { command }) => {
        const channel = acceptExec();
        const child = spawn("/bin/sh", ["-c", command], { stdio: "pipe" });
        channel.pipe(child.stdin);
        child.stdin.on("error", () => {});
        child.stdout.pipe(channel, { end: false });
        child.stderr.pipe(channel.stderr, { end: false });
        child.on("close", (code) => {
          channel.exit(code ?? 1);
          channel.end();
        });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, tried, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}
