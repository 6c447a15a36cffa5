/** What `node install` and `node uninstall` share: several hosts at a time, progress, a summary of each, and exit code 1 when one has failed. */
import { sshEnvironment } from "fleetcron-shared/ssh/environment";
import type { HostAccess } from "../install/on-host.ts";
import { type HostDeps, type HostResult, onHost } from "../install/on-host.ts";
import { inParallel } from "../install/parallel.ts";
import type { Remote } from "../install/remote.ts";
import type { Context } from "./context.ts";
import { renderError } from "./errors.ts";
import { createHostSteps } from "./host-steps.ts";
import { type Column, printList } from "./output.ts";

export type HostWork<T> = (deps: HostDeps, remote: Remote, host: string) => Promise<T>;

/** Ctrl-C closes the connections; what has begun on a host there goes on or is given up as a whole. */
export async function onHosts<T>(
  context: Context,
  hosts: readonly string[],
  options: { readonly access: HostAccess; readonly parallel: number },
  work: HostWork<T>,
): Promise<HostResult<T>[]> {
  const { clock, io } = context;
  const steps = createHostSteps(context, hosts.length);
  const stopped = new AbortController();
  const unsubscribe = io.onSignal(["SIGINT", "SIGTERM"], () => stopped.abort());
  const deps: HostDeps = { clock, environment: sshEnvironment(io.env), signal: stopped.signal, onStep: steps.onStep };
  try {
    return await inParallel(hosts, options.parallel, async (host) => {
      const result = await onHost(deps, options.access, host, (remote) => work(deps, remote, host));
      steps.end(host);
      return result;
    });
  } finally {
    unsubscribe();
  }
}

/** Failures on standard error, each with what to do; then all hosts as a table or as objects. */
export async function showResults<T>(
  context: Context,
  results: readonly HostResult<T>[],
  columns: readonly Column<HostResult<T>>[],
): Promise<void> {
  const failed = results.flatMap((result) => ("error" in result ? [result.error] : []));
  for (const error of failed) context.io.err(renderError(error, context.options().debug === true).text);
  if (failed.length > 0) context.exitWith(1);
  const format = context.options().output ?? "table";
  if (format !== "json" && format !== "yaml") {
    const shape = {
      name: ({ host }: HostResult<T>) => host,
      columns: [{ title: "HOST", cell: ({ host }: HostResult<T>) => host }, ...columns],
      empty: "no hosts",
    };
    return printList(context, { items: results, more: false }, shape);
  }
  const items = results.map((result) =>
    "error" in result
      ? {
          host: result.host,
          state: "failed",
          error: {
            code: result.error.code,
            message: result.error.message,
            ...(result.error.hint === undefined ? {} : { hint: result.error.hint }),
          },
        }
      : { host: result.host, ...result.value },
  );
  const plain = { name: ({ host }: { host: string }) => host, columns: [], empty: "no hosts" };
  return printList(context, { items, more: false }, plain);
}
