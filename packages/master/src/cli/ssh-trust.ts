/** `fleetcron ssh trust`: shows the keys of hosts and pins them in known_hosts once somebody agrees. */
import { resolve } from "node:path";
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import { sshEnvironment } from "fleetcron-shared/ssh/environment";
import { resolveHost } from "fleetcron-shared/ssh/host-config";
import { pinHostKey } from "fleetcron-shared/ssh/known-hosts-file";
import { scanHostKeys } from "fleetcron-shared/ssh/scan";
import { hostError } from "../install/remote.ts";
import { forgetLines } from "../install/trust-file.ts";
import { judgeKeys, type TrustCase } from "../install/trust-keys.ts";
import type { Context } from "./context.ts";
import { renderError } from "./errors.ts";
import { printList } from "./output.ts";
import { checkHosts } from "./ssh-access.ts";

export type TrustOptions = {
  readonly knownHosts?: string;
  readonly fingerprint?: readonly string[];
  readonly yes?: boolean;
  readonly replace?: boolean;
};

type Row = { readonly host: string; readonly type: string; readonly fingerprint: string; readonly state: string; readonly file: string };

export async function trustHosts(context: Context, hosts: readonly string[], options: TrustOptions): Promise<void> {
  const odd = options.fingerprint?.find((text) => !/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(text));
  if (odd !== undefined)
    throw new AppError("input/usage", `"${odd}" is no fingerprint`, {
      hint: "write it as `ssh-keygen -lf` shows it: SHA256: and 43 characters",
    });
  checkHosts(hosts);
  const rows: Row[] = [];
  const errors: AppError[] = [];
  for (const host of hosts) {
    try {
      rows.push(...(await trustHost(context, host, options)));
    } catch (thrown) {
      const error = asAppError(hostError(thrown, host, "asking for its keys"));
      errors.push(error);
      if (hosts.length > 1) context.io.err(renderError(error, context.options().debug === true).text);
    }
  }
  if (rows.length > 0 || errors.length === 0)
    await printList(
      context,
      { items: rows, more: false },
      {
        name: (row) => row.host,
        columns: [
          { title: "HOST", cell: (row) => row.host },
          { title: "TYPE", cell: (row) => row.type },
          { title: "FINGERPRINT", cell: (row) => row.fingerprint },
          { title: "STATE", cell: (row) => row.state },
          { title: "FILE", cell: (row) => row.file },
        ],
        empty: "no keys",
      },
    );
  const [first] = errors;
  if (first === undefined) return;
  if (hosts.length === 1) throw first;
  context.exitWith(first.row.exit);
}

async function trustHost(context: Context, host: string, options: TrustOptions): Promise<Row[]> {
  const { io, clock } = context;
  const environment = sshEnvironment(io.env);
  const config = resolveHost(environment, host);
  const files = options.knownHosts === undefined ? config.knownHosts : [resolve(io.cwd, options.knownHosts)];
  const [file] = files;
  if (file === undefined)
    throw new AppError("input/usage", `${host}: the ssh config names no file of known hosts`, { hint: "give --known-hosts FILE" });
  const shown = await scanHostKeys({ clock, environment }, config);
  const cases = judgeKeys(files, config, shown);
  const wanted = options.fingerprint?.map((text) => text.replace(/=$/, ""));
  const meant = wanted === undefined ? cases : cases.filter(({ key }) => wanted.includes(key.fingerprint));
  for (const each of cases) io.err(`${host}  ${each.key.type}  ${each.key.fingerprint}  ${wordsOf(each)}\n`);

  if (meant.length === 0)
    throw new AppError(
      "ssh/not-trusted",
      `${host}: none of its keys has the fingerprint that was given; it shows ${cases.map(({ key }) => key.fingerprint).join(", ")}`,
      {
        hint: "compare with the host's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub at its console; somebody else may answer in its place",
      },
    );
  const bad = meant.find(({ state }) => state === "revoked");
  if (bad !== undefined)
    throw new AppError("ssh/not-trusted", `${host}: its ${bad.key.type} key ${bad.key.fingerprint} is marked @revoked`, {
      hint: "give the host a new key",
    });
  const changed = meant.filter((each) => each.state === "changed");
  if (changed.length > 0 && options.replace !== true) throw changedError(host, changed);
  const fresh = meant.filter(({ state }) => state === "new" || state === "changed");
  if (fresh.length > 0) await confirm(context, host, fresh, options);

  forgetLines(file, changed, config);
  for (const { key } of fresh) {
    const verdict = pinHostKey(file, config.keyName, config.port, key);
    if (verdict.type !== "known")
      throw new AppError("ssh/key-changed", `${host}: somebody has put another key into ${file} in this moment`, {
        hint: "look at the file, and run it again",
      });
  }
  const after = (state: TrustCase["state"]) => (state === "new" ? "added" : state === "changed" ? "replaced" : "known");
  return meant.map(({ key, state, known }) => ({
    host,
    type: key.type,
    fingerprint: key.fingerprint,
    state: after(state),
    file: state === "known" ? (known?.file ?? file) : file,
  }));
}

function wordsOf({ state, known }: TrustCase): string {
  if (state === "changed" && known !== undefined) return `CHANGED: ${known.file}:${known.line} has ${known.fingerprint}`;
  return state === "known" ? `known (${known?.file}:${known?.line})` : state;
}

function changedError(host: string, changed: readonly TrustCase[]): AppError {
  const parts = changed.map(
    ({ key, known }) =>
      `it shows the ${key.type} key ${key.fingerprint}, but ${known?.file}:${known?.line} has ${known?.fingerprint}${known?.type === key.type ? "" : ` (${known?.type})`}`,
  );
  return new AppError("ssh/key-changed", `${host}: its key has changed: ${parts.join("; ")}`, {
    hint: "ask who runs the host: it was installed anew, or somebody else answers in its place; when the new key is right, run this again with --replace",
  });
}

async function confirm({ io }: Context, host: string, fresh: readonly TrustCase[], options: TrustOptions): Promise<void> {
  // A fingerprint that was given has been compared already: only such keys come here.
  if (options.yes === true || options.fingerprint !== undefined) return;
  if (io.line === undefined)
    throw new AppError("ssh/not-trusted", `${host}: nobody can be asked, because standard input is no terminal; nothing was kept`, {
      hint: "compare the fingerprint, and give it with --fingerprint; --yes keeps whatever the host shows",
    });
  const answer = await io.line(`Keep ${fresh.length === 1 ? "this key" : `these ${fresh.length} keys`} of ${host}? (yes/no) `);
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new AppError("ssh/not-trusted", `${host}: nothing was kept`);
}
