/**
 * Requests to one cluster, over the official client: its kubeconfig, credentials, TLS, proxies and HTTP. Its typed layer is left out because it
 * drops every field that it does not know, so that a typing error in a manifest would vanish where the server would have named it, and because
 * its watch and log helpers hide why they ended. When the API is away each request fails with an ApiFailure; who calls decides about retries.
 */
import type { HttpMethod, KubeConfig, RequestContext, ResponseContext } from "@kubernetes/client-node";
import type { Clock } from "fleetcron-shared/base/clock";
import { ApiFailure, networkFailure, statusFailure } from "./api-failure.ts";

export type Call = {
  readonly method: HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** Default application/json. */
  readonly contentType?: string;
};

export type Api = {
  /** For messages. */
  readonly server: string;
  /** The JSON of the answer; throws ApiFailure. */
  call<T>(call: Call, signal?: AbortSignal): Promise<T>;
  /** The bytes of an answer that has no end, each awaited at most `idleMs`; throws ApiFailure, also in the middle. Ends without an error only if the server ended it. */
  stream(call: Call, idleMs: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
};

export type Client = Pick<typeof import("@kubernetes/client-node"), "RequestContext" | "IsomorphicFetchHttpLibrary" | "PatchStrategy">;
type Dispatcher = NonNullable<ReturnType<RequestContext["getDispatcher"]>>;

/** The client loads a few thousand files: only once somebody needs it. */
export async function loadClient() {
  return await import("@kubernetes/client-node");
}

export function createApi(deps: { clock: Clock; client: Client; config: KubeConfig; requestMs: number }): Api {
  const { clock, client, config, requestMs } = deps;
  const server = config.getCurrentCluster()?.server ?? "";
  const library = new client.IsomorphicFetchHttpLibrary();
  let dispatcher: Dispatcher | undefined;

  async function open(call: Call, signal: AbortSignal): Promise<ResponseContext> {
    const context = new client.RequestContext(server + call.path, call.method);
    for (const [name, value] of Object.entries(call.query ?? {})) if (value !== undefined) context.setQueryParam(name, String(value));
    context.setHeaderParam("Accept", "application/json, */*;q=0.8");
    context.setHeaderParam("User-Agent", "fleetcron");
    if (call.body !== undefined) {
      context.setHeaderParam("Content-Type", call.contentType ?? "application/json");
      context.setBody(JSON.stringify(call.body));
    }
    try {
      await config.applySecurityAuthentication(context);
    } catch (thrown) {
      throw new ApiFailure(
        "credentials",
        `the credentials of the kubeconfig cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      );
    }
    // The client makes a pool of connections for each request; one is enough. Renewed credentials come as headers.
    const fresh = context.getDispatcher();
    if (dispatcher === undefined) dispatcher = fresh;
    else if (fresh !== undefined) context.setDispatcher(dispatcher);
    context.setSignal(signal);
    const response = await library.send(context).toPromise();
    if (response.httpStatusCode === 401) dropDispatcher();
    return response;
  }

  /** Requests under way keep theirs until they end. */
  function dropDispatcher(): void {
    void dispatcher?.close().catch(() => {});
    dispatcher = undefined;
  }

  /** Aborts when `signal` does, or when nothing has called `alive` for `ms`. */
  function watchdog(ms: number, signal: AbortSignal | undefined) {
    const controller = new AbortController();
    const tooLong = () => controller.abort(new Error(`no answer within ${Math.ceil(ms / 1000)} s`));
    const stopped = () => controller.abort(new Error("stopped"));
    let cancel = clock.after(ms, tooLong);
    if (signal?.aborted) stopped();
    signal?.addEventListener("abort", stopped, { once: true });
    return {
      signal: controller.signal,
      alive() {
        cancel();
        cancel = clock.after(ms, tooLong);
      },
      [Symbol.dispose]() {
        cancel();
        signal?.removeEventListener("abort", stopped);
        controller.abort(new Error("stopped"));
      },
    };
  }

  function asFailure(thrown: unknown, aborted: AbortSignal): ApiFailure {
    if (thrown instanceof ApiFailure) return thrown;
    return networkFailure(server, aborted.aborted ? aborted.reason : thrown);
  }

  return {
    server,
    async call<T>(call: Call, signal?: AbortSignal): Promise<T> {
      using guard = watchdog(requestMs, signal);
      try {
        const response = await open(call, guard.signal);
        const text = await response.body.text();
        if (response.httpStatusCode < 200 || response.httpStatusCode > 299)
          throw statusFailure(response.httpStatusCode, response.headers, text);
        return JSON.parse(text) as T;
      } catch (thrown) {
        throw asFailure(thrown, guard.signal);
      }
    },
    async *stream(call, idleMs, signal) {
      using guard = watchdog(Math.max(idleMs, requestMs), signal);
      try {
        const response = await open(call, guard.signal);
        if (response.httpStatusCode !== 200) throw statusFailure(response.httpStatusCode, response.headers, await response.body.text());
        for await (const chunk of response.body.stream() ?? []) {
          guard.alive();
          yield chunk;
          // Time that the reader took is not the server's.
          guard.alive();
        }
      } catch (thrown) {
        throw asFailure(thrown, guard.signal);
      }
    },
    async close() {
      await dispatcher?.destroy().catch(() => {});
    },
  };
}
