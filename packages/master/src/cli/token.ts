/** `fleetcron token …`. */
import type { TokenView } from "../http/access-schema.ts";
import { parseId, parseSpan } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanTime } from "./human.ts";
import { type ListOptions, showListing } from "./list.ts";
import { type Column, detailText, printOne } from "./output.ts";

export type TokenOptions = {
  readonly role: TokenView["role"];
  readonly group?: readonly string[];
  readonly name?: string;
  readonly expires?: string;
};

export async function createToken(context: Context, options: TokenOptions): Promise<void> {
  const { role, group, name, expires } = options;
  const made = await (await context.api()).createToken({
    role,
    ...(group === undefined ? {} : { groups: [...group] }),
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expiresInMs: parseSpan(expires, "--expires") }),
  });
  const now = context.clock.now();
  await printOne(context, made, {
    // For `TOKEN=$(fleetcron token create -o name)`.
    name: (view) => view.token,
    text: (view) =>
      `${detailText(context, [
        ["name", view.id],
        ["role", view.role],
        ["groups", view.groups?.join(", ") ?? "all"],
        ["expires", view.expiresAt === undefined ? "never" : humanTime(view.expiresAt, now)],
        ["token", view.token],
      ])}It is shown only now.\n`,
  });
}

export async function listTokens(context: Context, options: ListOptions): Promise<void> {
  const api = await context.api();
  await showListing(context, options, {
    fetchPage: (page) => api.tokens(page),
    name: (token) => token.id,
    columns: tokenColumns(context),
    empty: "there are no tokens",
  });
}

export async function revokeTokens(context: Context, names: readonly string[]): Promise<void> {
  const api = await context.api();
  for (const name of names.map((one) => parseId(one, "a token"))) {
    const revoked = await api.revokeToken(name);
    await printOne(context, revoked, { name: () => name, text: () => `token ${name} is revoked\n` });
  }
}

export async function loginLink(context: Context): Promise<void> {
  const api = await context.api();
  const link = { ...(await api.loginLink()), url: "" };
  link.url = api.server + link.path;
  await printOne(context, link, {
    name: ({ url }) => url,
    text: ({ url, expiresAt }) => `${url}\nIt logs in once, until ${expiresAt}.\n`,
  });
}

const COLOURS = { active: "green", expired: "dim", revoked: "dim" } as const;

function tokenColumns({ clock, paint }: Pick<Context, "clock" | "paint">): Column<TokenView>[] {
  const time = (iso: string | undefined, none: string) => (iso === undefined ? none : humanTime(iso, clock.now()));
  return [
    { title: "TOKEN", cell: (token) => token.id },
    { title: "ROLE", cell: (token) => token.role },
    { title: "GROUPS", cell: (token) => token.groups?.join(",") ?? "all" },
    { title: "STATE", cell: (token) => paint(COLOURS[token.state], token.state) },
    { title: "EXPIRES", cell: (token) => time(token.expiresAt, "never"), sort: (token) => token.expiresAt ?? "~" },
    { title: "LAST USED", cell: (token) => time(token.lastUsedAt, "-"), sort: (token) => token.lastUsedAt ?? "" },
    { title: "CREATED", cell: (token) => humanTime(token.createdAt, clock.now()), sort: (token) => token.createdAt },
    { title: "BY", cell: (token) => token.createdBy ?? "-" },
  ];
}
