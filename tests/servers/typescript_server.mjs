// A server on the TypeScript SDK that speaks both eras of the protocol.
//
//     typescript_server.mjs MODULES [PORT]     on stdio, or over HTTP at this port
//
// MODULES is the folder that the SDK is installed in.

import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [modules, port] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/${path}`));
const { McpServer, ResourceTemplate, completable, createMcpHandler, inputRequired } = await load(
  "@modelcontextprotocol/server/dist/index.mjs",
);
const { serveStdio } = await load("@modelcontextprotocol/server/dist/stdio.mjs");
const { z } = await load("zod/index.js");

const text = (it) => ({ content: [{ type: "text", text: it }] });
const cards = { plan: "Make a plan.", review: "Review it. Grüße 🦀" };
const states = ["open", "done", "dropped"];
// Whoever watches: over HTTP the handler, on stdio the one server.
let tellChange = async () => {};
let tellCards = async () => {};

function board() {
  const server = new McpServer(
    { name: "board", title: "Board of cards", version: "1.0.0" },
    {
      capabilities: { resources: { subscribe: true, listChanged: true } },
      instructions: "Cards on a board. Read a card before you move it.",
    },
  );

  server.registerTool(
    "board.move-card",
    {
      title: "Move a card",
      description: "Moves a card to another state.",
      inputSchema: z.object({
        card: z.string().describe("Its name"),
        to: z.enum(["open", "done", "dropped"]),
        "x-note": z.union([z.string(), z.array(z.string())]).optional(),
      }),
      outputSchema: z.object({ card: z.string(), state: z.string(), notes: z.array(z.string()) }),
    },
    async ({ card, to, "x-note": note }) => {
      const result = { card, state: to, notes: [note ?? []].flat() };
      return { ...text(JSON.stringify(result)), structuredContent: result };
    },
  );
  server.registerTool(
    "describe_card",
    {
      description: "A card as links and contents of resources.",
      inputSchema: z.object({ card: z.string() }),
      annotations: { readOnlyHint: true },
    },
    async ({ card }) => ({
      content: [
        { type: "text", text: "see", annotations: { audience: ["user"], priority: 0.5 } },
        { type: "resource_link", uri: `card://board/${card}`, name: card, mimeType: "text/plain" },
        { type: "resource", resource: { uri: `card://board/${card}`, mimeType: "text/plain", text: cards[card] ?? "" } },
      ],
    }),
  );
  server.registerTool(
    "list-cards",
    { description: "All cards, as one list.", inputSchema: z.object({ at_most: z.number().int().min(1).max(50).default(10) }) },
    async ({ at_most }) => text(Object.keys(cards).slice(0, at_most).join("\n")),
  );
  server.registerTool(
    "delete-card",
    {
      description: "Deletes a card when the person agrees.",
      inputSchema: z.object({ card: z.string() }),
      annotations: { destructiveHint: true },
    },
    async ({ card }, context) => {
      const answer = context.mcpReq.inputResponses?.sure;
      if (!answer) {
        const requestedSchema = {
          type: "object",
          properties: { sure: { type: "boolean", title: "Sure?" }, why: { type: "string" } },
          required: ["sure"],
        };
        const sure = inputRequired.elicit({ message: `Delete ${card}?`, requestedSchema });
        return inputRequired({ inputRequests: { sure } });
      }
      const { action, content } = answer;
      return text(action === "accept" ? `deleted ${card}: ${content.sure} ${content.why ?? ""}` : `kept: ${action}`);
    },
  );
  server.registerTool(
    "count",
    { description: "Counts with progress.", inputSchema: z.object({ to: z.number().int() }) },
    async ({ to }, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (let progress = 1; progress <= to; progress += 1) {
        if (progressToken !== undefined) {
          const params = { progressToken, progress, total: to, message: `at ${progress}` };
          await mcpReq.notify({ method: "notifications/progress", params });
        }
        await new Promise((done) => setTimeout(done, 30));
      }
      return text(`counted to ${to}`);
    },
  );
  server.registerTool(
    "wait",
    {
      description: "Waits; where the call is given up, it says so in the file.",
      inputSchema: z.object({ seconds: z.number(), witness: z.string() }),
    },
    ({ seconds, witness }, { mcpReq }) =>
      new Promise((done) => {
        const timer = setTimeout(() => done(text("waited")), seconds * 1000);
        mcpReq.signal.addEventListener("abort", () => {
          clearTimeout(timer);
          writeFileSync(witness, "given up");
          done(text("given up"));
        });
      }),
  );
  server.registerTool(
    "change-card",
    { description: "Changes a card, which whoever watches it is told.", inputSchema: z.object({ card: z.string(), text: z.string() }) },
    async ({ card, text: content }) => {
      const isNew = !(card in cards);
      cards[card] = content;
      await (isNew ? tellCards() : tellChange(`card://board/${card}`));
      return text("changed");
    },
  );
  server.registerTool("throw-up", { description: "Throws.", inputSchema: z.object({}) }, async () => {
    throw new Error("the board fell down");
  });

  server.registerResource(
    "legend",
    "card://legend",
    { title: "Legend", description: "What the states mean.", mimeType: "application/json", annotations: { priority: 0.9 } },
    async (uri) => ({ contents: [{ uri: uri.href, mimeType: "application/json", text: JSON.stringify(states) }] }),
  );
  server.registerResource(
    "a card",
    new ResourceTemplate("card://board/{card}", {
      list: async () => ({ resources: Object.keys(cards).map((name) => ({ name, uri: `card://board/${name}` })) }),
      complete: { card: (value) => Object.keys(cards).filter((name) => name.startsWith(value)) },
    }),
    { description: "A card by its name.", mimeType: "text/plain" },
    async (uri, { card }) => {
      if (!(card in cards)) throw new Error(`there is no card ${card}`);
      return { contents: [{ uri: uri.href, mimeType: "text/plain", text: cards[card] }] };
    },
  );

  server.registerPrompt(
    "triage",
    {
      title: "Triage",
      description: "Sorts cards by their state.",
      argsSchema: z.object({
        state: completable(z.string().describe("Which"), (value) => states.filter((it) => it.startsWith(value))),
        limit: z.string().optional(),
      }),
    },
    ({ state, limit }) => ({
      messages: [
        { role: "user", content: { type: "text", text: `Sort the ${state} cards${limit ? `, ${limit} at most` : ""}.` } },
        { role: "assistant", content: { type: "text", text: "Which first?" } },
        { role: "user", content: { type: "resource_link", uri: "card://legend", name: "legend" } },
      ],
    }),
  );
  tellChange = (uri) => server.server.sendResourceUpdated({ uri });
  tellCards = async () => server.sendResourceListChanged();
  // In the era before listening, who watches what is said by these.
  server.server.setRequestHandler("resources/subscribe", async () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", async () => ({}));
  return server;
}

if (port) {
  const { toNodeHandler } = await load("@modelcontextprotocol/node/dist/index.mjs");
  const handler = createMcpHandler(() => {
    const server = board();
    tellChange = async (uri) => handler.notify.resourceUpdated(uri);
    tellCards = async () => handler.notify.resourcesChanged();
    return server;
  });
  createServer(toNodeHandler(handler)).listen(Number(port), "127.0.0.1");
} else {
  serveStdio(board);
}
