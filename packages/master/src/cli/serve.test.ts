import test from "ava";
import { configNames } from "fleetcron-shared/base/config-file";
import { masterSettings } from "../config.ts";
import { SERVE_FLAGS } from "./serve.ts";

test("every setting has its flag, and every flag its setting", (t) => {
  const flags = SERVE_FLAGS.map(([flag]) => flag.split(" ")[0]);
  t.deepEqual(
    flags.toSorted(),
    Object.keys(masterSettings.shape)
      .map((key) => configNames("X_", key).flag)
      .toSorted(),
  );
});
