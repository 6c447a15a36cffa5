/** Reads /api/v1/events of a master as a client does. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { systemClock } from "fleetcron-shared/base/clock";

export type ReadEvent = { readonly id: string; readonly event: string; readonly data: Record<string, unknown> & { value?: unknown } };
export type EventReader = {
  readonly events: readonly ReadEvent[];
  /** The first event that `accept` takes, of those that have come or will. */
  find(what: string, accept: (event: ReadEvent) => boolean): Promise<ReadEvent>;
  isOver(): boolean;
  /** Stops taking what comes. */
  pause(): void;
  resume(): void;
  close(): void;
  [Symbol.dispose](): void;
};

const LIMIT_MS = 20_000;

export async function readEvents(
  master: { url: string; token: string },
  query = "",
  headers: Record<string, string> = {},
): Promise<EventReader> {
  const asked = request(`${master.url}/api/v1/events${query}`, {
    headers: { authorization: `Bearer ${master.token}`, ...headers },
    agent: false,
  });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  asked.on("error", () => {});
  answer.on("error", () => {});
  if (answer.statusCode !== 200) {
    let text = "";
    for await (const chunk of answer) text += String(chunk);
    throw Object.assign(new Error(text), { status: answer.statusCode });
  }
  const events: ReadEvent[] = [];
  let text = "";
  let over = false;
  answer.setEncoding("utf8");
  answer.on("data", (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      if (field("event") !== "")
        events.push({ id: field("id"), event: field("event"), data: JSON.parse(field("data")) as ReadEvent["data"] });
    }
  });
  answer.on("close", () => {
    over = true;
  });
  const close = () => void asked.destroy();
  return {
    events,
    async find(what, accept) {
      const end = systemClock.mono() + LIMIT_MS;
      for (;;) {
        const found = events.find(accept);
        if (found !== undefined) return found;
        if (systemClock.mono() > end) throw new Error(`no event: ${what}; there are ${JSON.stringify(events.slice(-20))}`);
        await systemClock.sleep(10);
      }
    },
    isOver: () => over,
    pause: () => void answer.pause(),
    resume: () => void answer.resume(),
    close,
    [Symbol.dispose]: close,
  };
}
