#!/usr/bin/env node
// Starts Fleetcron's command line, from source or from the published package. Plain JavaScript for the old Node.js that may run it.
import { launch } from "fleetcron-shared/launch.js";

await launch("fleetcron", import.meta.url);
