/** One pod on its node: what a test lets its containers do, as the kubelet would report it. Containers are told what to do by the test, or are real processes. */
import { spawn } from "node:child_process";
import { type ContainerLog, createContainerLog } from "./container-logs.ts";
import { type Loose, type Store, type Stored, second } from "./store.ts";

export type PodHandle = {
  readonly name: string;
  readonly pod: () => Stored | undefined;
  /** Puts it on a node; `image` etc. are not pulled yet. */
  schedule(): void;
  unschedulable(message: string): void;
  waiting(container: string, reason: string, message?: string): void;
  /** Resolves when it runs: a Secret that it needs may not be there yet. */
  start(container: string): Promise<void>;
  log(container: string, text: string): void;
  /** Ends a container; the pod's phase follows from its containers. */
  exit(container: string, code: number, reason?: string): void;
  /** The container begins anew, as with restartPolicy OnFailure. */
  restart(container: string, code: number): void;
  evict(message: string): void;
  /** Runs command and args as a process with the container's variables; resolves with its exit code. */
  run(container: string): Promise<number>;
  /** As the kubelet gives them to the container: `$(NAME)` is expanded. */
  env(container: string): Record<string, string>;
  /** Resolves when somebody has asked for its end (SIGTERM). */
  readonly terminating: Promise<void>;
  /** It is gone from the API. */
  readonly removed: Promise<void>;
  status(change: (status: Loose) => void): void;
};

export type Logs = Map<string, ContainerLog>;

export function logKey(pod: string, container: string, restart: number): string {
  return `${pod}/${container}/${restart}`;
}

export function createPod(store: Store, logs: Logs, created: Stored): PodHandle {
  const { namespace, name, uid } = created.metadata;
  const terminating = Promise.withResolvers<void>();
  const removed = Promise.withResolvers<void>();
  const restarts = new Map<string, number>();
  const names = { init: containerNames(created, "initContainers"), main: containerNames(created, "containers") };

  const stop = store.listen(({ type, object }) => {
    if (object.metadata.uid !== uid) return;
    if (object.metadata.deletionTimestamp !== undefined || type === "DELETED") terminating.resolve();
    if (type !== "DELETED") return;
    stop();
    for (const [key, log] of logs) if (key.startsWith(`${name}/`)) log.end();
    for (const key of [...logs.keys()]) if (key.startsWith(`${name}/`)) logs.delete(key);
    removed.resolve();
  });

  const status: PodHandle["status"] = (change) =>
    void store.update("pods", namespace, name, (object) => {
      object.status ??= {};
      change(object.status);
      object.status.phase = phaseOf(object, names.main);
    });

  function container(of: string, change: (status: Record<string, unknown>) => void): void {
    status((all) => {
      const list = names.init.includes(of) ? "initContainerStatuses" : "containerStatuses";
      all[list] ??= [];
      let one = all[list].find((each: { name: string }) => each.name === of);
      if (one === undefined) {
        one = { name: of, restartCount: 0, ready: false, state: { waiting: { reason: "ContainerCreating" } } };
        all[list].push(one);
      }
      change(one);
    });
  }

  function spec(of: string): Loose {
    const pod = created.spec;
    return [...(pod.initContainers ?? []), ...pod.containers].find((one: { name: string }) => one.name === of) ?? {};
  }

  function missingSecret(of: string): string | undefined {
    for (const { valueFrom } of spec(of).env ?? []) {
      const wanted = valueFrom?.secretKeyRef?.name;
      if (wanted !== undefined && store.get("secrets", namespace, wanted) === undefined) return wanted;
    }
    return undefined;
  }

  function env(of: string): Record<string, string> {
    const all: Record<string, string> = {};
    for (const { name: key, value = "", valueFrom } of spec(of).env ?? []) {
      const secret = valueFrom?.secretKeyRef;
      all[key] =
        secret === undefined
          ? expand(value, all)
          : Buffer.from(store.get("secrets", namespace, secret.name)?.data?.[secret.key] ?? "", "base64").toString();
    }
    return all;
  }

  const logOf = (of: string) => {
    const key = logKey(name, of, restarts.get(of) ?? 0);
    const log = logs.get(key) ?? createContainerLog();
    logs.set(key, log);
    return log;
  };

  const handle: PodHandle = {
    name,
    pod: () => store.get("pods", namespace, name),
    terminating: terminating.promise,
    removed: removed.promise,
    status,
    schedule() {
      store.update("pods", namespace, name, (object) => {
        object.spec.nodeName = "node-1";
        object.status = { ...object.status, startTime: second(), conditions: [{ type: "PodScheduled", status: "True" }] };
      });
      for (const of of names.init) container(of, () => {});
      for (const of of names.main)
        container(of, (one) => {
          one.state = { waiting: { reason: names.init.length > 0 ? "PodInitializing" : "ContainerCreating" } };
        });
    },
    unschedulable: (message) =>
      status((all) => {
        all.conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }];
      }),
    waiting: (of, reason, message) =>
      container(of, (one) => {
        one.state = { waiting: { reason, ...(message === undefined ? {} : { message }) } };
      }),
    async start(of) {
      if (handle.pod()?.spec.nodeName === undefined) handle.schedule();
      for (let missing = missingSecret(of); missing !== undefined; missing = missingSecret(of)) {
        handle.waiting(of, "CreateContainerConfigError", `secret "${missing}" not found`);
        await new Promise<void>((resolve) => {
          const ignore = store.listen(({ plural }) => {
            if (plural !== "secrets") return;
            ignore();
            resolve();
          });
        });
      }
      logOf(of);
      container(of, (one) => {
        one.state = { running: { startedAt: second() } };
      });
    },
    log: (of, text) => logOf(of).write(text),
    exit(of, code, reason = code === 0 ? "Completed" : "Error") {
      logOf(of).end();
      container(of, (one) => {
        one.state = { terminated: { exitCode: code, reason, finishedAt: second() } };
      });
      const left = handle.pod();
      if (left?.metadata.deletionTimestamp !== undefined && (left.status.phase === "Succeeded" || left.status.phase === "Failed"))
        store.remove("pods", namespace, name);
    },
    restart(of, code) {
      logOf(of).end();
      const count = (restarts.get(of) ?? 0) + 1;
      restarts.set(of, count);
      logOf(of);
      container(of, (one) => {
        one.restartCount = count;
        one.lastState = { terminated: { exitCode: code, reason: "Error", finishedAt: second() } };
        one.state = { running: { startedAt: second() } };
      });
    },
    evict(message) {
      for (const key of [...logs.keys()]) if (key.startsWith(`${name}/`)) logs.get(key)?.end();
      store.update("pods", namespace, name, (object) => {
        object.status = { ...object.status, phase: "Failed", reason: "Evicted", message };
        for (const one of object.status.containerStatuses ?? [])
          one.state = { terminated: { exitCode: 137, reason: "Error", finishedAt: second() } };
      });
    },
    async run(of) {
      await handle.start(of);
      const own = env(of);
      const words = [...(spec(of).command ?? []), ...(spec(of).args ?? [])].map((word: string) => expand(word, own));
      const [program = "true", ...args] = words;
      const child = spawn(program, args, { env: { PATH: "/usr/bin:/bin", ...own }, stdio: ["ignore", "pipe", "pipe"] });
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => handle.log(of, text));
      void terminating.promise.then(() => child.kill("SIGTERM"));
      const code = await new Promise<number>((resolve) =>
        child.once("close", (exit, signal) => resolve(exit ?? (signal === "SIGTERM" ? 143 : 137))),
      );
      handle.exit(of, code);
      return code;
    },
    env,
  };
  return handle;
}

function containerNames(pod: Stored, list: string): string[] {
  return (pod.spec[list] ?? []).map(({ name }: { name: string }) => name);
}

function phaseOf({ status, spec }: Stored, main: readonly string[]): string {
  const ends = main.map((name) => (status.containerStatuses ?? []).find((one: { name: string }) => one.name === name)?.state?.terminated);
  const failedInit = (status.initContainerStatuses ?? []).some(
    (one: { state?: { terminated?: { exitCode: number } } }) => (one.state?.terminated?.exitCode ?? 0) !== 0,
  );
  if (status.reason === "Evicted" || failedInit) return "Failed";
  if (ends.every((end) => end !== undefined)) return ends.every((end) => end.exitCode === 0) ? "Succeeded" : "Failed";
  const runs = (status.containerStatuses ?? []).some((one: { state?: { running?: object } }) => one.state?.running !== undefined);
  return runs && spec.nodeName !== undefined ? "Running" : "Pending";
}

/** The kubelet's expansion of variables in command, args and env: `$(NAME)`, with `$$` for `$`. */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(\$|\(([^)]*)\))/g, (whole, what: string, name: string | undefined) =>
    what === "$" ? "$" : (variables[name ?? ""] ?? whole),
  );
}
