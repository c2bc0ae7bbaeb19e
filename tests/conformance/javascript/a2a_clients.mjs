// The JavaScript A2A SDK over every interface of the card: node a2a_clients.mjs <gateway> <key>
// Prints one JSON line per case: {"interface": ..., "case": ..., "said": ...}, or "error" in place
// of "said". The test that runs it knows what should be said.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { SendMessageRequest, TaskState, verifyAgentCardSignature } from "@a2a-js/sdk";
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from "@a2a-js/sdk/client";

const [gateway, key] = process.argv.slice(2);
// The SDK writes there too, and standard output is for what was told.
for (const name of ["log", "info", "debug"]) console[name] = console.error;

function fetchImpl(url, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("authorization", `Bearer ${key}`);
  return fetch(url, { ...options, headers });
}

const compat = { fetchImpl, legacyCompat: { enabled: true } };
const resolver = new DefaultAgentCardResolver(compat);
const factory = new ClientFactory({
  transports: [new JsonRpcTransportFactory(compat), new RestTransportFactory(compat)],
  cardResolver: resolver,
});
const stateOf = (task) => TaskState[task.status.state];
const textOf = (parts) => parts.map(({ content }) => (content.$case === "text" ? content.value : ""));

function order(text, model = "echo", configuration = {}) {
  return SendMessageRequest.fromJSON({
    message: {
      messageId: randomUUID(),
      role: "ROLE_USER",
      parts: [{ text }],
      metadata: { model: `demo/${model}` },
    },
    configuration,
  });
}

async function failure(attempt) {
  try {
    await attempt;
    return "succeeded";
  } catch (error) {
    return error.constructor.name;
  }
}

/** A task that says nothing for a minute, once it works. */
async function silentTask(client) {
  const asked = order("hello", "slow-start-60000", { returnImmediately: true });
  const { id } = await client.sendMessage(asked);
  while (stateOf(await client.getTask({ id })) !== "TASK_STATE_WORKING");
  return id;
}

async function kinds(events) {
  const seen = [];
  for await (const { payload } of events) seen.push(payload);
  return seen;
}

const cases = {
  async discover(client) {
    const card = await client.getAgentCard();
    const allowed = card.capabilities.extensions[0].uri;
    return { name: card.name, skills: card.skills.map((skill) => skill.id), allowed };
  },
  async send(client) {
    const task = await client.sendMessage(order("one two"));
    return [stateOf(task), textOf(task.artifacts[0].parts)[0]];
  },
  async stream(client) {
    const seen = await kinds(client.sendMessageStream(order("one two", "slow-5")));
    const pieces = seen
      .filter(({ $case }) => $case === "artifactUpdate")
      .flatMap(({ value }) => textOf(value.artifact.parts));
    const states = seen
      .filter(({ $case }) => $case !== "artifactUpdate")
      .map(({ value }) => stateOf(value));
    return { first: seen[0].$case, pieces: pieces.filter(Boolean), states };
  },
  async get(client) {
    const { id } = await client.sendMessage(order("one two"));
    const whole = await client.getTask({ id });
    const short = await client.getTask({ id, historyLength: 0 });
    const missing = await failure(client.getTask({ id: "nowhere" }));
    return [stateOf(whole), whole.history.length, short.history.length, missing];
  },
  async list(client) {
    const wanted = { pageSize: 1, pageToken: "", status: TaskState.TASK_STATE_COMPLETED };
    const first = await client.listTasks(wanted);
    const second = await client.listTasks({ ...wanted, pageToken: first.nextPageToken });
    const ids = [...first.tasks, ...second.tasks].map((task) => task.id);
    return [first.pageSize, new Set(ids).size, first.totalSize >= 2];
  },
  async cancel(client) {
    const id = await silentTask(client);
    const cancelled = stateOf(await client.cancelTask({ id }));
    return [cancelled, await failure(client.cancelTask({ id }))];
  },
  async resubscribe(client) {
    const id = await silentTask(client);
    const seen = [];
    for await (const { payload } of client.resubscribeTask({ id })) {
      seen.push([payload.$case, stateOf(payload.value)]);
      if (seen.length === 1) await client.cancelTask({ id });
    }
    return seen;
  },
  async "push configurations"(client) {
    const id = await silentTask(client);
    const named = { taskId: id, id: "mine" };
    const url = "http://127.0.0.1:9/";
    const made = await client.createTaskPushNotificationConfig({ ...named, url, token: "t" });
    const got = await client.getTaskPushNotificationConfig(named);
    const every = { taskId: id, pageSize: 0, pageToken: "" };
    const listed = (await client.listTaskPushNotificationConfig(every)).configs;
    await client.deleteTaskPushNotificationConfig(named);
    const left = (await client.listTaskPushNotificationConfig(every)).configs;
    await client.cancelTask({ id });
    return [made.id, got.url === url, got.token, listed.map((one) => one.id), left.length];
  },
  async "push deliveries"(client) {
    const heard = [];
    let enough;
    const ended = new Promise((resume) => (enough = resume));
    const hook = createServer(async (request, response) => {
      const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
      response.writeHead(204).end();
      heard.push([request.headers["x-a2a-notification-token"], body]);
      if (JSON.stringify(body).toLowerCase().includes("completed")) enough();
    });
    await new Promise((resume) => hook.listen(0, "127.0.0.1", resume));
    const url = `http://127.0.0.1:${hook.address().port}/`;
    const asked = order("one two", "echo", { taskPushNotificationConfig: { url, token: "t" } });
    const { id } = await client.sendMessage(asked);
    await ended;
    await new Promise((resume) => hook.close(resume));
    const named = heard.every(([, body]) => JSON.stringify(body).includes(id));
    return { tokens: [...new Set(heard.map(([token]) => token))], named };
  },
};

async function run(row, attempt) {
  const told = { ...row };
  try {
    told.said = await attempt();
  } catch (error) {
    told.error = `${error.constructor.name}: ${error.message}`;
  }
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

for (const path of ["agent-card.json", "agent.json"]) {
  await run({ interface: "card", case: path }, async () => {
    const card = await resolver.resolve(gateway, `/.well-known/${path}`);
    return card.supportedInterfaces.map((one) => [one.protocolBinding, one.protocolVersion]);
  });
}
await run({ interface: "card", case: "signature" }, async () => {
  const verify = verifyAgentCardSignature(async (kid, jku) => {
    const { keys } = await (await fetch(jku)).json();
    return keys.find((one) => one.kid === kid);
  });
  const card = await resolver.resolve(gateway);
  await verify(card);
  return failure(verify({ ...card, name: "Somebody else" }));
});

const card = await resolver.resolve(gateway);
for (const chosen of card.supportedInterfaces) {
  const client = await factory.createFromAgentCard({ ...card, supportedInterfaces: [chosen] });
  const name = `${chosen.protocolBinding} ${chosen.protocolVersion}`;
  for (const [of, attempt] of Object.entries(cases)) {
    if (of === "list" && chosen.protocolVersion === "0.3") continue; // 0.3 has no such method
    await run({ interface: name, case: of }, () => attempt(client));
  }
}
