/** A pipeline's tasks as a drawing: what needs what, and how each stands. The list beside it says the same in words. */
import { useApp } from "../data/context.ts";
import { type GraphTask, layOut } from "./graph-layout.ts";

const WIDTH = 150;
const HEIGHT = 40;
const GAP_X = 46;
const GAP_Y = 16;
const LONGEST = 18;

export function Graph({ tasks, states, label }: { tasks: readonly GraphTask[]; states?: ReadonlyMap<string, string>; label: string }) {
  const { t } = useApp();
  const { places, edges, columns, rows } = layOut(tasks);
  const at = new Map(places.map((place) => [place.name, { x: place.column * (WIDTH + GAP_X) + 2, y: place.row * (HEIGHT + GAP_Y) + 2 }]));
  const width = columns * (WIDTH + GAP_X) - GAP_X + 4;
  const height = rows * (HEIGHT + GAP_Y) - GAP_Y + 4;
  return (
    <div class="graph" tabIndex={0} role="region" aria-label={label}>
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={t("graph.text", { n: tasks.length })}>
        {edges.map((edge) => {
          const from = at.get(edge.from) ?? { x: 0, y: 0 };
          const to = at.get(edge.to) ?? { x: 0, y: 0 };
          const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
          const bend = `C${x1 + GAP_X / 2} ${y1} ${x2 - GAP_X / 2} ${y2} ${x2} ${y2}`;
          return <path key={`${edge.from} ${edge.to}`} class="edge" d={`M${x1} ${y1} ${bend}`} />;
        })}
        {tasks.map(({ name, part }) => {
          const { x, y } = at.get(name) ?? { x: 0, y: 0 };
          const state = states?.get(name) ?? "";
          return (
            <g key={name} class={`task ${state} ${part}`} transform={`translate(${x} ${y})`}>
              <title>{`${name} ${state}`}</title>
              <rect width={WIDTH} height={HEIGHT} rx="6" />
              <text x="10" y={state === "" ? 25 : 18}>
                {name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name}
              </text>
              {state !== "" && (
                <text x="10" y="33" class="small">
                  {state}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}
