// A client on the TypeScript SDK; sdks.py says how it is spoken with.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, told] = process.argv.slice(2);
const { command, env, patience, asks } = JSON.parse(told);
const sdk = pathToFileURL(`${modules}/@modelcontextprotocol/client/dist/`);
const { Client } = await import(new URL("index.mjs", sdk));
const { StdioClientTransport } = await import(new URL("stdio.mjs", sdk));

const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const say = (message) => console.log(JSON.stringify(message));
const hear = async () => JSON.parse((await lines.next()).value);

// A block as hosts show it: a link by its address, without what is said about it.
const text = (block) => block.text ?? block.uri ?? block.type;

// What a host may show of a result: the structured content, or the texts.
const readings = ({ content, structuredContent }) => {
  const texts = content.map(text).join("\n");
  return structuredContent === undefined ? [texts] : [JSON.stringify(structuredContent), texts];
};

const capabilities = asks ? { elicitation: { form: {} } } : {};
const client = new Client(
  { name: "driver", version: "1" },
  { capabilities, versionNegotiation: { mode: "auto" } },
);
if (asks) {
  client.setRequestHandler("elicitation/create", async ({ params }) => {
    say({ ask: { message: params.message, schema: params.requestedSchema } });
    return (await hear()).answer;
  });
}
await client.connect(new StdioClientTransport({ command: command[0], args: command.slice(1), env }));
const { tools } = await client.listTools();
const offered = tools.map(({ name, description, inputSchema: schema }) => ({ name, description, schema }));
say({ offer: { tools: offered, text: client.getInstructions() ?? "" } });
for (let heard = await hear(); heard.call; heard = await hear()) {
  const [name, parameters] = heard.call;
  try {
    say({ shown: readings(await client.callTool({ name, arguments: parameters }, { timeout: patience * 1000 })) });
  } catch (error) {
    say({ shown: [String(error)] });
  }
}
await client.close();
input.close();
