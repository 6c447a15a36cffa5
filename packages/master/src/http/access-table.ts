/**
 * What each route of the API needs, in one table: a role, and how far a caller reaches who is limited to groups. A route that is not in here is an admin's without
 * groups; a test goes through all routes of the app and fails for such a one.
 */
import type { Role } from "fleetcron-shared/model/facts";

/**
 * `all`: of no group, for everybody with the role. `groups`: answers with, and changes, what is within the caller's groups (access/guarded-kv.ts sees to that).
 * `cluster`: only for callers without a limit to groups. `own`: about the caller itself.
 */
export type Reach = "all" | "groups" | "cluster" | "own";
export type Need = { readonly role: Role; readonly reach: Reach } | "public";

const viewer = (reach: Reach): Need => ({ role: "viewer", reach });
const operator = (reach: Reach): Need => ({ role: "operator", reach });
const admin = (reach: Reach): Need => ({ role: "admin", reach });

/** What a route needs that the table forgets. */
export const CLOSED: Need = admin("cluster");

/** Below /api/v1. HEAD is as GET. */
export const ACCESS: Readonly<Record<string, Need>> = {
  "GET /info": viewer("all"),
  "GET /openapi.json": "public",
  // Within the caller's groups, which the route sees to itself (may-read.ts).
  "GET /events": viewer("groups"),

  "GET /jobs": viewer("groups"),
  "GET /jobs/:group/:id": viewer("groups"),
  "PUT /jobs/:group/:id": operator("groups"),
  "DELETE /jobs/:group/:id": operator("groups"),
  "POST /jobs/:group/:id/run": operator("groups"),
  "POST /jobs/:group/:id/pause": operator("groups"),
  "POST /jobs/:group/:id/resume": operator("groups"),
  "POST /jobs/:group/:id/reset": operator("groups"),
  "GET /jobs/:group/:id/next": viewer("groups"),
  "GET /jobs/:group/:id/why": viewer("groups"),
  "GET /jobs/:group/:id/verdicts": viewer("groups"),
  "GET /forecast": viewer("groups"),
  "GET /verify": viewer("groups"),
  "POST /apply": operator("groups"),

  "GET /pipelines": viewer("groups"),
  "GET /pipelines/:group/:id": viewer("groups"),
  "PUT /pipelines/:group/:id": operator("groups"),
  "DELETE /pipelines/:group/:id": operator("groups"),
  "POST /pipelines/:group/:id/run": operator("groups"),
  "GET /runs": viewer("groups"),
  "GET /runs/:run": viewer("groups"),
  "POST /runs/:run/cancel": operator("groups"),
  "POST /runs/:run/rerun": operator("groups"),
  "POST /runs/:run/tasks/:task/approve": operator("groups"),
  "POST /runs/:run/tasks/:task/deny": operator("groups"),
  "POST /runs/:run/tasks/:task/confirm": operator("groups"),
  "POST /runs/:run/tasks/:task/reject": operator("groups"),
  // By the update token of the task; with `force` by an operator, which the route sees to.
  "PUT /runs/:run/tasks/:task/status": "public",
  // By the secret of the trigger.
  "POST /hooks/:group/:pipeline/:trigger": "public",

  "GET /records": viewer("groups"),
  "GET /records/:record": viewer("groups"),
  "GET /procs": viewer("groups"),
  "GET /executions": viewer("groups"),
  "GET /executions/:execution": viewer("groups"),
  "POST /executions/:execution/kill": operator("groups"),
  "GET /executions/:execution/log": viewer("groups"),
  "GET /executions/:execution/log/search": viewer("groups"),
  "GET /executions/:execution/log/follow": viewer("groups"),

  "GET /secrets": viewer("groups"),
  "PUT /secrets/:group/:name": admin("groups"),
  "DELETE /secrets/:group/:name": admin("groups"),

  "GET /nodes": viewer("all"),
  "GET /nodes/:node": viewer("all"),
  "PATCH /nodes/:node/labels": operator("cluster"),
  "POST /nodes/:node/drain": operator("cluster"),
  "POST /nodes/:node/undrain": operator("cluster"),
  "DELETE /nodes/:node": operator("cluster"),

  "GET /globals": viewer("cluster"),
  "GET /globals/:name": viewer("cluster"),
  "PUT /globals/:name": operator("cluster"),
  "DELETE /globals/:name": operator("cluster"),
  "GET /channels": viewer("cluster"),
  "GET /channels/:name": viewer("cluster"),
  "PUT /channels/:name": admin("cluster"),
  "DELETE /channels/:name": admin("cluster"),
  "POST /channels/:name/test": operator("cluster"),
  "GET /deliveries": viewer("cluster"),
  "POST /deliveries/:delivery/retry": operator("cluster"),

  "GET /tokens": admin("cluster"),
  "POST /tokens": admin("cluster"),
  "DELETE /tokens/:token": admin("cluster"),
  "GET /audit": admin("cluster"),

  "POST /session": "public",
  "GET /session": viewer("own"),
  "DELETE /session": viewer("own"),
  "POST /session/links": viewer("own"),
  "GET /session/methods": "public",
  // People come here from the provider, without a session; the state of the login shows that it is theirs.
  "GET /session/oidc": "public",
  "GET /session/oidc/callback": "public",
  "GET /sessions": admin("cluster"),
  "DELETE /sessions/:session": admin("cluster"),
};

/** `url`: the pattern of the route, without the API's base. */
export function needOf(method: string, url: string): Need {
  const name = `${method === "HEAD" ? "GET" : method} ${url}`;
  return Object.hasOwn(ACCESS, name) ? (ACCESS[name] ?? CLOSED) : CLOSED;
}
