// A real authorization server (oidc-provider) and an MCP server in front of which it stands, on two ports of
// this machine. `node authorization_server.mjs MODULES` prints their addresses, and ends with its input.
//
// The MCP server answers what a client needs to list and call two tools: `whoami`, and `audit`, which needs
// the right `mcp:audit`. POST /control/expire ends all access tokens that were used.

import http from "node:http";
import { createRequire } from "node:module";
import { once } from "node:events";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const modules = process.argv[2];
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider", { paths: [modules] })));

async function listening(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

const front = http.createServer();
const back = http.createServer();
const [issuer, origin] = [await listening(back), await listening(front)];
const resource = `${origin}/mcp`;

const provider = new Provider(issuer, {
  scopes: ["openid", "offline_access"],
  clients: [
    {
      client_id: "robot",
      client_secret: "secret-of-the-robot-that-is-long-enough",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, indicator) => {
        if (indicator !== resource) throw new Error(`no resource ${indicator}`);
        return {
          scope: "mcp:read mcp:audit",
          audience: resource,
          accessTokenTTL: 3600,
          accessTokenFormat: "opaque",
        };
      },
      useGrantedResource: () => true,
    },
  },
  // One login for all tests.
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  cookies: { keys: ["of the tests"] },
});
back.on("request", provider.callback());

const seen = new Set();

async function tokenOf(request) {
  const [, value] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  if (!value) return undefined;
  seen.add(value);
  const token = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
  return token && [token.aud].flat().includes(resource) ? token : undefined;
}

function refuse(response, status, parameters) {
  const fields = { resource_metadata: `${origin}/.well-known/oauth-protected-resource/mcp`, ...parameters };
  const text = Object.entries(fields).map(([name, value]) => `${name}="${value}"`);
  response.writeHead(status, { "www-authenticate": `Bearer ${text.join(", ")}` }).end();
}

function answerTo({ method, params }, token) {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: "protected", version: "1" },
      };
    case "tools/list":
      return {
        tools: ["whoami", "audit"].map((name) => ({
          name,
          description: `The tool ${name}.`,
          inputSchema: { type: "object", properties: {} },
        })),
      };
    case "tools/call":
      return { content: [{ type: "text", text: `${params.name}: ${token.accountId ?? token.clientId}` }] };
    default:
      return {};
  }
}

front.on("request", async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const json = (status, value) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  };
  const path = new URL(request.url, origin).pathname;
  if (path === "/control/expire") {
    for (const value of seen) await (await provider.AccessToken.find(value))?.destroy();
    return json(200, { ended: seen.size });
  }
  if (path === "/.well-known/oauth-protected-resource/mcp") {
    return json(200, { resource, authorization_servers: [issuer], scopes_supported: ["mcp:read"] });
  }
  if (path !== "/mcp") return json(404, {});
  const token = await tokenOf(request);
  if (!token) return refuse(response, 401, { scope: "mcp:read" });
  if (request.method !== "POST") return response.writeHead(405).end();
  const message = JSON.parse(Buffer.concat(chunks).toString());
  const isAudit = message.method === "tools/call" && message.params.name === "audit";
  if (isAudit && !token.scope.split(" ").includes("mcp:audit")) {
    return refuse(response, 403, { error: "insufficient_scope", scope: "mcp:audit" });
  }
  if (message.id === undefined) return response.writeHead(202).end();
  return json(200, { jsonrpc: "2.0", id: message.id, result: answerTo(message, token) });
});

// Nobody reads more than one line, and what the provider remarks has to end nowhere.
process.stdout.on("error", () => {});
console.log(JSON.stringify({ issuer, server: resource }));
process.stdin.resume().on("end", () => process.exit(0));
