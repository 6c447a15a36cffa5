/** The format of server-sent events, as far as masters write it: one line of data per event, comments as signs of life. */

export type ServerEvent = { readonly type: string; readonly id: string | undefined; readonly data: string };

/** Ends when the answer does. */
export async function* readServerEvents(response: Pick<Response, "body">): AsyncGenerator<ServerEvent, void> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      let from = 0;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", from)) {
        const event = parseEvent(text.slice(from, end));
        from = end + 2;
        if (event !== undefined) yield event;
      }
      text = text.slice(from);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Undefined for a sign of life. */
function parseEvent(block: string): ServerEvent | undefined {
  const fields = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
  const data = fields.get("data");
  return data === undefined ? undefined : { type: fields.get("event") ?? "message", id: fields.get("id"), data };
}
