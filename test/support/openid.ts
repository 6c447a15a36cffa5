/** A real OpenID provider on a free port, with people who log in by their name alone, and a browser without a screen that walks there. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type Context, Provider } from "oidc-provider";

export const CLIENT = { id: "fleetcron", secret: "a:secret/of the+client" };

export type Person = Readonly<Record<string, unknown>>;

export type OpenidProvider = {
  readonly issuer: string;
  /** From now on it knows the client, which comes back to `redirect`. Before, it answers with 503. */
  open(redirect: string): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** `people`: claims by subject. `host`: for browsers, localhost is another site than 127.0.0.1. */
export async function startOpenidProvider(people: Readonly<Record<string, Person>>, host = "127.0.0.1"): Promise<OpenidProvider> {
  const closed: RequestListener = (_request, response) => void response.writeHead(503).end("closed");
  let handle = closed;
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://${host}:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    open(redirect) {
      handle = new Provider(issuer, configuration(people, redirect)).callback();
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function configuration(people: Readonly<Record<string, Person>>, redirect: string) {
  return {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [redirect], application_type: "web" }],
    claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
    cookies: { keys: ["only for tests"] },
    pkce: { required: () => true },
    findAccount: (_context: Context, sub: string) => ({ accountId: sub, claims: () => ({ sub, ...people[sub] }) }),
    // Nobody is asked whether this master may know who they are.
    async loadExistingGrant({ oidc }: Context) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid profile email groups");
      await grant.save();
      return grant;
    },
  };
}

export type Page = {
  readonly url: URL;
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly to: URL | undefined;
};

export type Browser = {
  /** One request, with the cookies of that origin; redirects are not followed. */
  get(url: string | URL, headers?: Readonly<Record<string, string>>): Promise<Page>;
  /** From the master to the provider, logged in there as `person`: up to where it sends the browser back to, which is not asked. */
  goThrough(provider: OpenidProvider, from: URL, person: string): Promise<URL>;
  /** The cookies for an origin. */
  cookies(url: string): Map<string, string>;
};

export function createBrowser(): Browser {
  const jar = new Map<string, Map<string, string>>();
  const cookies = (url: string) => {
    const { origin } = new URL(url);
    const held = jar.get(origin) ?? new Map<string, string>();
    jar.set(origin, held);
    return held;
  };
  const visit = async (
    url: string | URL,
    init: { method?: string; body?: URLSearchParams; headers?: Readonly<Record<string, string>> },
  ) => {
    const at = new URL(url);
    const held = cookies(at.href);
    const cookie = [...held].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...init.headers, ...(cookie === "" ? {} : { cookie }) };
    const response = await fetch(at, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === "" || /expires=Thu, 01 Jan 1970|max-age=0/i.test(line)) held.delete(name);
      else held.set(name, value);
    }
    const location = response.headers.get("location");
    const to = location === null ? undefined : new URL(location, at);
    return { url: at, status: response.status, text: await response.text(), headers: response.headers, to };
  };
  return {
    cookies,
    get: (url, headers = {}) => visit(url, { headers }),
    async goThrough({ issuer }, from, person) {
      let to = from;
      for (let step = 0; to.origin === issuer && step < 10; step++) {
        let page = await visit(to, {});
        if (page.to === undefined && page.text.includes('name="login"'))
          page = await visit(to, { method: "POST", body: new URLSearchParams({ prompt: "login", login: person, password: "x" }) });
        if (page.to === undefined) throw new Error(`the provider does not go on: ${page.status} ${page.text.slice(0, 2000)}`);
        to = page.to;
      }
      return to;
    },
  };
}
