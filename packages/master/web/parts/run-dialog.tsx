/** Run now: on which node, with which parameters. */
import { useMemo, useState } from "preact/hooks";
import { randomKey } from "../base/clock.ts";
import { href } from "../base/router.ts";
import { act, useApp } from "../data/context.ts";
import { useList } from "../data/list.ts";
import type { JobSpec } from "../data/types.ts";
import { Confirm } from "./dialog.tsx";

type ParamSpec = NonNullable<JobSpec["params"]>[number];

export function RunJobDialog({ job, onDone }: { job: { group: string; id: string; spec: JobSpec }; onDone(): void }) {
  const app = useApp();
  const { t, api } = app;
  const nodes = useList(app.fleet.nodes).items;
  const params = useParams(job.spec.params ?? []);
  const [node, setNode] = useState("");
  const once = useMemo(randomKey, []);
  const run = () =>
    act(app, undefined, async () => {
      const body = { ...(node === "" ? {} : { node }), ...(params.given() === undefined ? {} : { params: params.given() ?? {} }) };
      const { orders } = await api.runJob(job, body, once);
      app.say("good", t("run.started", { n: orders.length }));
      const [first] = orders;
      if (orders.length === 1 && first !== undefined)
        app.router.go(href(["executions", first.execution], { job: `${job.group}/${job.id}` }));
    });
  return (
    <Confirm title={t("run.title", { key: `${job.group}/${job.id}` })} action={t("do.run")} onDone={onDone} onYes={run}>
      <label>
        {t("run.node")}
        <select value={node} onChange={(event) => setNode(event.currentTarget.value)}>
          <option value="">{t("run.byRules")}</option>
          {nodes
            .filter(({ online }) => online)
            .map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
        </select>
      </label>
      {params.fields}
    </Confirm>
  );
}

/** Fields for declared parameters; `given` has those that were changed. */
export function useParams(specs: readonly ParamSpec[]) {
  const { t } = useApp();
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const set = (name: string, value: string) => setValues((held) => ({ ...held, [name]: value }));
  const fields = specs.map((spec) => (
    <label key={spec.name}>
      {spec.name}
      {spec.required === true && ` (${t("run.required")})`}
      {spec.readOnly === true && ` (${t("run.readOnly")})`}
      {spec.type === "boolean" || spec.type === "enum" ? (
        <select value={values[spec.name] ?? spec.value ?? ""} onChange={(event) => set(spec.name, event.currentTarget.value)}>
          {[
            ...new Set([
              ...(spec.value === undefined ? [""] : []),
              ...(spec.type === "boolean" ? ["true", "false"] : (spec.options ?? [])),
            ]),
          ].map((value) => (
            <option key={value} value={value}>
              {value}
            </option>
          ))}
        </select>
      ) : (
        <input
          type="text"
          value={values[spec.name] ?? ""}
          placeholder={spec.value ?? ""}
          onInput={(event) => set(spec.name, event.currentTarget.value)}
        />
      )}
    </label>
  ));
  return {
    fields,
    given: () => {
      const changed = Object.entries(values).filter(([, value]) => value !== "");
      return changed.length === 0 ? undefined : Object.fromEntries(changed);
    },
  };
}
