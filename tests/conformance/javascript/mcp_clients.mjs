// The JavaScript MCP SDK over every transport: node mcp_clients.mjs <gateway> <command of stdio>...
// Prints one JSON line per case: {"transport": ..., "case": ..., "said": ...}, or "error" in place
// of "said". The test that runs it knows what should be said.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [gateway, command, ...args] = process.argv.slice(2);
const words = [{ role: "user", content: "one two three" }];
const route = (model, more) => ({
  name: "omniroute_route_request",
  arguments: { model: `demo/${model}`, messages: words, ...more },
});

async function api(path, body) {
  const asked = body && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(gateway + path, asked);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function until(met) {
  while (!(await met())) await new Promise((resume) => setImmediate(resume));
}

const reservations = async () =>
  (await api("/api/monitoring/health")).ledger.openReservations;

const cases = {
  async initialize(client) {
    return { name: client.getServerVersion().name, able: Object.keys(client.getServerCapabilities()) };
  },
  async "list tools"(client) {
    const names = [];
    let nextCursor;
    let pages = 0;
    do {
      const page = await client.listTools({ cursor: nextCursor });
      names.push(...page.tools.map((tool) => tool.name));
      nextCursor = page.nextCursor;
      pages += 1;
    } while (nextCursor);
    return { names, pages };
  },
  async progress(client) {
    const told = [];
    const onprogress = ({ progress, message }) => told.push([progress, message]);
    const asked = route("slow-5", { stream: true });
    const done = await client.callTool(asked, undefined, { onprogress });
    return { told, content: done.structuredContent.response.content };
  },
  async "tool errors"(client) {
    const refused = await client.callTool(route("echo", { messages: [] }));
    return { isError: refused.isError, text: refused.content[0].text };
  },
  async "read a resource"(client) {
    const { contents } = await client.readResource({ uri: "omniroute://health" });
    return contents.map(({ uri, mimeType }) => [uri, mimeType]);
  },
  async "read an unknown resource"(client) {
    try {
      await client.readResource({ uri: "omniroute://nowhere" });
    } catch (error) {
      return error.code;
    }
  },
  async subscribe(client, transport) {
    const uri = "omniroute://combos";
    const told = new Promise((resume) =>
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
        resume(params.uri),
      ),
    );
    await client.subscribeResource({ uri });
    // The first look after somebody subscribes only sees, so changes go on until one is told.
    let heard;
    told.then((found) => (heard = found));
    for (let number = 0; heard === undefined && number < 100; number += 1) {
      const name = `js-${transport.replaceAll(" ", "-")}-${number}`;
      await api("/api/combos", { name, models: ["demo/echo"] });
      await Promise.race([told, new Promise((resume) => setTimeout(resume, 300))]);
    }
    await client.unsubscribeResource({ uri });
    return heard;
  },
  async prompt(client) {
    const names = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
    const got = await client.getPrompt({ name: "incident-summary" });
    return { listed: names.includes("incident-summary"), roles: got.messages.map((one) => one.role) };
  },
  async complete(client) {
    const ref = { type: "ref/resource", uri: "omniroute://usage/{period}" };
    const found = await client.complete({ ref, argument: { name: "period", value: "mo" } });
    return found.completion.values;
  },
  async cancel(client) {
    const stop = new AbortController();
    const asked = client.callTool(route("slow-start-60000"), undefined, { signal: stop.signal });
    const ended = asked.then(() => "answered", () => "aborted");
    await until(async () => (await reservations()) === 1);
    stop.abort("no longer wanted");
    await until(async () => (await reservations()) === 0);
    const after = await client.callTool({ name: "omniroute_get_health", arguments: {} });
    return [await ended, after.isError ?? false];
  },
};

const transports = {
  "Streamable HTTP": () => new StreamableHTTPClientTransport(new URL("/api/mcp/stream", gateway)),
  SSE: () => new SSEClientTransport(new URL("/api/mcp/sse", gateway)),
  stdio: () => new StdioClientTransport({ command, args }),
};

for (const [transport, connect] of Object.entries(transports)) {
  const client = new Client({ name: "conformance", version: "1" });
  await client.connect(connect());
  for (const [name, run] of Object.entries(cases)) {
    const told = { transport, case: name };
    try {
      told.said = await run(client, transport);
    } catch (error) {
      told.error = String(error);
    }
    console.log(JSON.stringify(told));
  }
  await client.close();
}
