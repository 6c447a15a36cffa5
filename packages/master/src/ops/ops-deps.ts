/** What the intents work with. An intent is one file: it checks, reads what it must, and writes in one transaction where one is enough. */
import type { Clock } from "fleetcron-shared/base/clock";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { Kv } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
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
  readonly views: Views;
  readonly timetable: Timetable;
  readonly orderLease: OrderLease;
  readonly fileChecker: FileChecker;
  readonly logStreams: LogStreams;
  readonly send: Sender;
};
