// The JavaScript SDKs against one gateway: node clients.mjs <gateway> <prefix>...
// Prints one JSON line per case: {"case": ..., "target": ..., "said": ...}, or "error" in place of
// "said". The test that runs it knows what should be said.
import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import OldAnthropic from "anthropic-old";
import OpenAI from "openai";
import OldOpenAI from "openai-old";
import OlderOpenAI from "openai-older";

const [gateway, ...targets] = process.argv.slice(2);
const words = [{ role: "user", content: "one two three" }];
const both = "get_weather get_news Oslo";
const schema = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
};
const names = ["get_weather", "get_news"];
const tools = names.map((name) => ({
  type: "function",
  function: { name, description: "It", parameters: schema },
}));
const anthropicTools = names.map((name) => ({ name, description: "It", input_schema: schema }));

const openaiCases = {
  async chat(client, model) {
    const reply = await client.chat.completions.create({ model: model("echo"), messages: words });
    return reply.choices[0].message.content;
  },
  async "chat stream"(client, model) {
    const stream = await client.chat.completions.create({
      model: model("echo"),
      messages: words,
      stream: true,
    });
    let said = "";
    for await (const chunk of stream) said += chunk.choices[0]?.delta?.content ?? "";
    return said;
  },
  async "chat tools"(client, model) {
    const messages = [{ role: "user", content: both }];
    const asked = { model: model("tools"), messages, tools };
    const whole = (await client.chat.completions.create(asked)).choices[0].message;
    const stream = client.chat.completions.stream(asked);
    const message = (await stream.finalChatCompletion()).choices[0].message;
    const called = (calls) => calls.map(({ function: { name, arguments: given } }) => [name, given]);
    assert.deepEqual(called(message.tool_calls), called(whole.tool_calls));
    messages.push({ role: "assistant", content: message.content, tool_calls: message.tool_calls });
    message.tool_calls.forEach((call, place) =>
      messages.push({ role: "tool", tool_call_id: call.id, content: ["rain", "news"][place] }),
    );
    return (await client.chat.completions.create(asked)).choices[0].message.content;
  },
  async responses(client, model) {
    const first = await client.responses.create({ model: model("echo"), input: "one" });
    const next = { model: model("echo"), input: "two three", previous_response_id: first.id };
    return `${first.output_text} ${(await client.responses.create(next)).output_text}`;
  },
  async "responses stream"(client, model) {
    const asked = { model: model("echo"), input: "one two three", stream: true };
    let said = "";
    for await (const event of await client.responses.create(asked))
      if (event.type === "response.output_text.delta") said += event.delta;
    return said;
  },
  async "responses tools"(client, model) {
    const functions = names.map((name) => ({ type: "function", name, parameters: schema }));
    const asked = { model: model("tools"), tools: functions, store: true };
    const first = await client.responses.stream({ ...asked, input: both }).finalResponse();
    const input = first.output
      .filter((item) => item.type === "function_call")
      .map((call, place) => ({
        type: "function_call_output",
        call_id: call.call_id,
        output: ["rain", "news"][place],
      }));
    const next = { ...asked, input, previous_response_id: first.id };
    return (await client.responses.create(next)).output_text;
  },
};

const anthropicCases = {
  async messages(client, model) {
    const asked = { model: model("echo"), max_tokens: 100, messages: words };
    return (await client.messages.create(asked)).content[0].text;
  },
  async "messages stream"(client, model) {
    const asked = { model: model("echo"), max_tokens: 100, messages: words };
    let said = "";
    const stream = client.messages.stream(asked).on("text", (text) => (said += text));
    await stream.finalMessage();
    return said;
  },
  async "messages tools"(client, model) {
    const messages = [{ role: "user", content: both }];
    const asked = { model: model("tools"), max_tokens: 1000, messages, tools: anthropicTools };
    const whole = await client.messages.create(asked);
    const first = await client.messages.stream(asked).finalMessage();
    const called = (blocks) => blocks.map(({ type, name, input }) => [type, name, input]);
    assert.deepEqual(called(first.content), called(whole.content));
    const results = first.content
      .filter((block) => block.type === "tool_use")
      .map((block, place) => ({
        type: "tool_result",
        tool_use_id: block.id,
        content: ["rain", "news"][place],
      }));
    messages.push({ role: "assistant", content: first.content }, { role: "user", content: results });
    return (await client.messages.create(asked)).content[0].text;
  },
  async "count tokens"(client, model) {
    const asked = { model: model("echo"), messages: words };
    return (await client.messages.countTokens(asked)).input_tokens >= 3 ? "at least 3" : "less";
  },
};

const options = { apiKey: "unused", maxRetries: 0 };
const clients = [
  ["openai", new OpenAI({ ...options, baseURL: `${gateway}/v1` }), openaiCases],
  ["openai, the major before", new OldOpenAI({ ...options, baseURL: `${gateway}/v1` }), openaiCases],
  ["openai, two majors before", new OlderOpenAI({ ...options, baseURL: `${gateway}/v1` }), openaiCases],
  ["anthropic", new Anthropic({ ...options, baseURL: gateway }), anthropicCases],
  ["anthropic, the major before", new OldAnthropic({ ...options, baseURL: gateway }), anthropicCases],
];

for (const target of targets) {
  for (const [sdk, client, cases] of clients) {
    for (const [name, run] of Object.entries(cases)) {
      const told = { sdk, case: name, target };
      try {
        told.said = await run(client, (model) => `${target}/${model}`);
      } catch (error) {
        told.error = String(error);
      }
      console.log(JSON.stringify(told));
    }
  }
}
