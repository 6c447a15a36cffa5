/** What the intents work with. An intent is one file: it checks, reads what it must, and writes in one transaction where one is enough. */
import type { Clock } from "fleetcron-shared/base/clock";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { Kv } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Caller } from "../caller.ts";
import type { Archive } from "../history/archive.ts";
import type { PassPoint } from "../kill-points.ts";
import type { Sender } from "../notify/sender.ts";
import type { Timetable } from "../timetable.ts";
import type { Views } from "../views.ts";
import type { FileChecker } from "./file-checker.ts";
import type { LogStreams } from "./log-streams.ts";
import type { OrderLease } from "./order-lease.ts";

export type OpsDeps = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly newId: IdSource;
  /** Within the groups of the caller while a request is worked on; so is `kv` (access/). */
  readonly views: Views;
  /** Pipelines of all groups, for what must not be broken for others either. */
  readonly allPipelines?: Views["pipelines"];
  /** Who asks; undefined: the master itself. */
  readonly caller?: () => Caller | undefined;
  /** Undefined: there is no history beyond etcd. It knows of no groups: who reads looks at the caller's. */
  readonly archive?: Archive | undefined;
  readonly timetable: Timetable;
  /** A tick without a report counts as missed so long after its time. */
  readonly missedAfterMs?: number;
  readonly orderLease: OrderLease;
  readonly fileChecker: FileChecker;
  readonly logStreams: LogStreams;
  readonly send: Sender;
  readonly passPoint: PassPoint;
};
