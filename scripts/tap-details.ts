/**
 * Loaded into ava's own process before it starts. Its TAP reporter writes the details of a failure as YAML and dies when one of them is
 * `undefined` (an assertion on a missing field is enough), taking all further results with it; here such a detail is left out.
 */
import { createRequire } from "node:module";

const fromAva = createRequire(createRequire(import.meta.url).resolve("ava"));
const yaml = createRequire(fromAva.resolve("supertap"))("js-yaml") as { safeDump(value: unknown, options?: object): string };
const { safeDump } = yaml;
yaml.safeDump = (value, options) => safeDump(value, { skipInvalid: true, ...options });
