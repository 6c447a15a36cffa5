/** `npm run bench`: how fast we are (ours.ts), or with `--peers` beside others (peers/compare.ts). Figures are for reading, on a machine that does nothing else. */
import { parseArgs } from "node:util";
import { measureOurs } from "./ours.ts";
import { comparePeers } from "./peers/compare.ts";
import { ownScratch } from "./scratch.ts";

const HELP = `npm run bench -- [options]
  --quick        fewer samples
  --peers        beside BullMQ, Debian's cron and a C loop, in the same run by turns (about 12 minutes; root for cron, npm and apt-get for the rest)
  --rounds N     of --peers (default: 3, with --quick 1)
  --help         this
Needs a C compiler (cc) and etcd (scripts/setup). Loopback and temporary folders only.`;

ownScratch();
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
    rounds: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const { quick } = values;
const rounds = Number(values.rounds ?? (quick ? 1 : 3));
if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 20))
  throw new Error(`--rounds: "${values.rounds}" is not a number from 1 to 20`);
if (values.help) console.log(HELP);
else if (values.peers)
  await comparePeers({ rounds, ticks: quick ? 5 : 20, orders: quick ? 20 : 100, burst: 1000, held: quick ? 1000 : 10_000 });
else await measureOurs(quick);
