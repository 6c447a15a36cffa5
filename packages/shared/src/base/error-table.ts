/**
 * Every coded error of Fleetcron in one table: `area/reason` → HTTP status, CLI exit code, retryability.
 * Exit codes are those of docs/errors.md: 1 failed · 2 bad input · 3 not found · 4 conflict · 5 not allowed · 6 out of reach · 7 timed out.
 * `retry` says whether the same call may succeed later without a change by the caller.
 */
export const ERROR_TABLE = {
  "input/invalid": { status: 400, exit: 2, retry: false, means: "a value is not accepted; the issues say which, where and why" },
  "input/usage": { status: 400, exit: 2, retry: false, means: "the command line or the query is not understood" },
  "input/too-large": { status: 413, exit: 2, retry: false, means: "the body, file or value exceeds its limit" },
  "input/unreadable": { status: 400, exit: 2, retry: false, means: "a file cannot be read or is not text in UTF-8" },
  "config/invalid": { status: 500, exit: 2, retry: false, means: "the program's configuration is wrong" },
  "config/data-dir": { status: 500, exit: 2, retry: false, means: "the data folder cannot be created or written" },
  "config/port-in-use": { status: 500, exit: 2, retry: false, means: "the listen address is taken by another program" },
  "job/not-found": { status: 404, exit: 3, retry: false, means: "there is no such job" },
  "node/not-found": { status: 404, exit: 3, retry: false, means: "there is no such node" },
  "node/not-online": { status: 409, exit: 4, retry: true, means: "the node is not online" },
  "node/online": { status: 409, exit: 4, retry: false, means: "the node is online, so it cannot be forgotten" },
  "node/none-matching": { status: 409, exit: 4, retry: true, means: "no online node matches the job's targets" },
  "node/duplicate-id": { status: 409, exit: 4, retry: false, means: "another agent with this node id is alive" },
  "execution/not-found": { status: 404, exit: 3, retry: false, means: "no such execution is running or recorded" },
  "execution/ended": { status: 409, exit: 4, retry: false, means: "the execution has already ended" },
  "record/not-found": { status: 404, exit: 3, retry: false, means: "there is no such record" },
  "route/not-found": { status: 404, exit: 3, retry: false, means: "there is no such resource" },
  "write/conflict": { status: 409, exit: 4, retry: false, means: "the object was changed by somebody else; read it again" },
  "auth/missing": { status: 401, exit: 5, retry: false, means: "no token was sent" },
  "auth/denied": { status: 403, exit: 5, retry: false, means: "the token is wrong or lacks the role" },
  "etcd/unreachable": { status: 503, exit: 6, retry: true, means: "etcd does not answer or the connection broke before the request was sent" },
  "etcd/unknown-outcome": { status: 503, exit: 6, retry: true, means: "the answer was lost; the write may or may not have happened" },
  "etcd/refused": { status: 500, exit: 6, retry: false, means: "etcd refused the request (auth, size, alarm)" },
  "etcd/tls": { status: 500, exit: 6, retry: false, means: "etcd's certificate or ours was not accepted" },
  "etcd/compacted": { status: 500, exit: 6, retry: true, means: "the asked revision is compacted away" },
  "etcd/lease-gone": { status: 500, exit: 6, retry: true, means: "the lease has expired or was revoked" },
  "etcd/closed": { status: 500, exit: 6, retry: false, means: "the store was closed" },
  "cluster/mismatch": { status: 409, exit: 4, retry: false, means: "this etcd prefix belongs to another cluster" },
  "server/unreachable": { status: 503, exit: 6, retry: true, means: "no master answers at the given address" },
  "server/not-ready": { status: 503, exit: 6, retry: true, means: "the master has not yet read its state from etcd" },
  "up/child-ended": { status: 500, exit: 6, retry: true, means: "a program that `fleetcron up` started has ended" },
  "wait/timeout": { status: 504, exit: 7, retry: true, means: "what was waited for did not happen in time" },
  "run/user": { status: 400, exit: 2, retry: false, means: "the command's user or group does not exist on the host, or the agent may not switch to it" },
  "run/failed": { status: 500, exit: 1, retry: false, means: "the execution that was waited for failed" },
  "internal/bug": { status: 500, exit: 1, retry: false, means: "a fault in Fleetcron; please report it" },
} as const satisfies Record<string, ErrorRow>;

/** What one code stands for: HTTP `status`, CLI `exit` code, whether a retry may help, and its meaning. */
export type ErrorRow = { readonly status: number; readonly exit: number; readonly retry: boolean; readonly means: string };
/** Every error code there is. */
export type ErrorCode = keyof typeof ERROR_TABLE;
