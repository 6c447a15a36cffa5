/**
 * The http runner: one call per session. A call whose session host died cannot be found again, so it is lost and never made twice.
 * Etcd away: nothing here knows it.
 */
import { lookup } from "node:dns/promises";
import { asError } from "fleetcron-shared/base/errors";
import { createAddressJudge, type LookUp } from "fleetcron-shared/net/address-policy";
import { createMasker } from "../../secrets/masker.ts";
import { needlesOf } from "../../secrets/needles.ts";
import type { Runner, Session, SessionDeps, SessionEnd, SessionSpec } from "../runner.ts";
import { runCall } from "./call.ts";
import { failed, HttpFailure } from "./failure.ts";
import { makeRequest } from "./request.ts";
import { HTTP_LIMITS, type HttpLimits } from "./response.ts";

export type HttpSession = SessionSpec & { readonly runner: "http" };

export type HttpRunnerDeps = {
  /** Fleetcron's, for `User-Agent`. */
  readonly version: string;
  readonly lookUp?: LookUp;
  readonly limits?: HttpLimits;
};

export type HttpRunner = Runner<HttpSession> & {
  /** Aborts every call. */
  close(): void;
};

export function createHttpRunner(deps: HttpRunnerDeps): HttpRunner {
  const running = new Set<Session>();
  return {
    start(spec, session) {
      const started = startCall(deps, spec, session);
      running.add(started);
      void started.done.then(() => running.delete(started));
      return started;
    },
    recover: () => ({ done: Promise.resolve({ outcome: { type: "lost", why: "session" } }), kill() {} }),
    close() {
      for (const session of running) session.kill("KILL");
    },
  };
}

function startCall(deps: HttpRunnerDeps, spec: HttpSession, session: SessionDeps): Session {
  const abort = new AbortController();
  const killed = Promise.withResolvers<SessionEnd>();
  const ended = call(deps, spec, session, abort.signal);
  return {
    // A call that is killed ends at once, whatever it waits for.
    done: Promise.race([killed.promise, ended]),
    kill(how) {
      killed.resolve({ outcome: { type: "signal", name: `SIG${how}` } });
      abort.abort(new Error("the call was ended"));
    },
  };
}

async function call(
  deps: HttpRunnerDeps,
  { spec, ...context }: HttpSession,
  session: SessionDeps,
  signal: AbortSignal,
): Promise<SessionEnd> {
  const { version, lookUp = systemLookUp, limits = HTTP_LIMITS } = deps;
  const mask = createMasker(needlesOf(Object.values(context.secrets))).text;
  const judge = createAddressJudge({ lookUp }, context.networks);
  try {
    const request = await makeRequest(context, spec, version);
    signal.throwIfAborted();
    return masked(await runCall({ session, signal, judge, policyFile: context.policyFile, limits, mask }, request, spec), mask);
  } catch (thrown) {
    const failure = thrown instanceof HttpFailure ? thrown : failed("runner/spec", `the call cannot be made: ${asError(thrown).message}`);
    return masked({ outcome: failure.outcome }, mask);
  }
}

function masked(end: SessionEnd, mask: (text: string) => string): SessionEnd {
  const { outcome } = end;
  return "error" in outcome ? { ...end, outcome: { ...outcome, error: mask(outcome.error) } } : end;
}

async function systemLookUp(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
