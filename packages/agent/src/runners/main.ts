/**
 * The session host: a program of its own for what runs elsewhere (ssh, http, kubernetes), started with the first such job. It outlives the agent, so that sessions
 * go on while the agent is upgraded; it keeps connections for many executions, and their ciphers and output away from the agent's clock. Etcd is unknown here.
 */
import { systemClock } from "fleetcron-shared/base/clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { openLibc } from "../spawner/libc.ts";
import { serve } from "../spawner/serve.ts";
import { createRunners } from "./runners.ts";
import { openSessionHost } from "./session-host.ts";

const [, , folder = "", name = "", version = ""] = process.argv;
const runners = createRunners({ clock: systemClock, random: systemRandom, version, env: process.env });
const exit = () => void runners.close().finally(() => process.exit(0));
serve(systemClock, { folder, name, version, kind: "sessions", exit }, (served) =>
  openSessionHost({ ...served, clock: systemClock, libc: openLibc(), runnerOf: runners.of }),
);
