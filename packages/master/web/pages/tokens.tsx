/** Access tokens: who has one, making and revoking them. A token's text is shown once, and only here. */
import { useState } from "preact/hooks";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { Token } from "../data/types.ts";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { type Column, Rows } from "../parts/rows.tsx";
import { Ago, Badge, Failure, Loading, Time, type Tone } from "../parts/small.tsx";

const TONES: Readonly<Record<Token["state"], Tone>> = { active: "good", expired: "calm", revoked: "bad" };
const DAYS = ["", "1", "7", "30", "90", "365"] as const;
const ROLES = ["viewer", "operator", "admin"] as const;

export function Tokens() {
  const app = useApp();
  const { t, api } = app;
  const { who } = useWho();
  const { value, error, again } = useFetched(() => api.tokens({ limit: 1000 }), []);
  const [open, setOpen] = useState<"new" | undefined>(undefined);
  const [revoking, setRevoking] = useState<string | undefined>(undefined);
  const [made, setMade] = useState<{ id: string; token: string } | undefined>(undefined);
  const columns: readonly Column<Token>[] = [
    { title: t("token.name"), class: "wide", cell: (token) => <strong>{token.id}</strong> },
    { title: t("node.state"), cell: (token) => <Badge tone={TONES[token.state]}>{t(`token.${token.state}`)}</Badge> },
    { title: t("token.role"), cell: (token) => t(`role.${token.role}`) },
    { title: t("token.groups"), class: "large", cell: (token) => token.groups?.join(", ") ?? t("token.allGroups") },
    { title: t("run.created"), class: "large", cell: (token) => <Ago at={token.createdAt} /> },
    { title: t("token.used"), class: "large", cell: (token) => <Ago at={token.lastUsedAt} /> },
    { title: t("token.expires"), cell: (token) => <Time at={token.expiresAt} /> },
    {
      title: "",
      cell: (token) =>
        token.state === "active" && token.id !== who?.name ? (
          <button type="button" class="quiet" onClick={() => setRevoking(token.id)}>
            {t("token.revoke")}
          </button>
        ) : null,
    },
  ];
  return (
    <>
      <h1>{t("nav.tokens")}</h1>
      <p>
        <button type="button" class="primary" onClick={() => setOpen("new")}>
          {t("token.new")}
        </button>
      </p>
      <Failure error={error} again={again} />
      {value === undefined && error === undefined && <Loading />}
      {value !== undefined && <Rows label={t("nav.tokens")} items={value.items} columns={columns} keyOf={({ id }) => id} />}
      {open === "new" && (
        <NewToken
          onDone={() => setOpen(undefined)}
          onMade={(token) => {
            setMade(token);
            again();
          }}
        />
      )}
      {revoking !== undefined && (
        <Confirm
          title={t("token.revokeTitle", { name: revoking })}
          text={t("token.revokeText")}
          action={t("token.revoke")}
          tone="bad"
          onDone={() => setRevoking(undefined)}
          onYes={async () => {
            const isDone = await act(app, t("do.done"), () => api.revokeToken(revoking));
            again();
            return isDone;
          }}
        />
      )}
      {made !== undefined && (
        <Dialog title={t("token.made", { name: made.id })} onClose={() => setMade(undefined)}>
          <p>{t("token.once")}</p>
          <p>
            <code class="secret">{made.token}</code>
          </p>
        </Dialog>
      )}
    </>
  );
}

function NewToken({ onDone, onMade }: { onDone(): void; onMade(token: { id: string; token: string }): void }) {
  const app = useApp();
  const { t, api } = app;
  const [name, setName] = useState("");
  const [role, setRole] = useState<(typeof ROLES)[number]>("viewer");
  const [groups, setGroups] = useState("");
  const [days, setDays] = useState<string>("90");
  const make = () =>
    act(app, undefined, async () => {
      const named = groups.split(/[\s,]+/).filter((group) => group !== "");
      const made = await api.createToken({
        role,
        ...(name === "" ? {} : { name }),
        ...(named.length === 0 ? {} : { groups: named }),
        ...(days === "" ? {} : { expiresInMs: Number(days) * 86_400_000 }),
      });
      onMade(made);
    });
  return (
    <Confirm title={t("token.new")} action={t("token.make")} onDone={onDone} onYes={make}>
      <label>
        {t("token.name")}
        <input type="text" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label>
        {t("token.role")}
        <select value={role} onChange={(event) => setRole(event.currentTarget.value as (typeof ROLES)[number])}>
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {t(`role.${one}`)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("token.groupsHint")}
        <input type="text" value={groups} onInput={(event) => setGroups(event.currentTarget.value)} />
      </label>
      <label>
        {t("token.expires")}
        <select value={days} onChange={(event) => setDays(event.currentTarget.value)}>
          {DAYS.map((one) => (
            <option key={one} value={one}>
              {one === "" ? t("token.never") : t("token.days", { n: one })}
            </option>
          ))}
        </select>
      </label>
    </Confirm>
  );
}
