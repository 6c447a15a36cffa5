/** A webhook receiver on this host: what a channel sends to it is kept, and what is wrong with it is none of its business. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { sleep } from "./fleet.ts";

/** What is read of a message (docs/notifications.md, "Receiving a webhook"). */
export type Message = { readonly title: string; readonly severity: string };

export type Receiver = {
  readonly url: string;
  /** The first message whose title has `words` in it; undefined when none has come in time. */
  message(words: string, withinMs: number): Promise<Message | undefined>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startReceiver(): Promise<Receiver> {
  const messages: Message[] = [];
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      messages.push(JSON.parse(Buffer.concat(chunks).toString("utf8")) as Message);
      response.writeHead(204).end();
    } catch {
      response.writeHead(400).end();
    }
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async message(words, withinMs) {
      const find = () => messages.find(({ title }) => title.includes(words));
      for (const until = Date.now() + withinMs; Date.now() < until && find() === undefined; ) await sleep(50);
      return find();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
