"""The Python SDKs of the majors before the current one, against one gateway.

`python clients.py <gateway> <prefix>...` prints one JSON line per case: what was said,
or the error.
"""

import json
import sys

import anthropic
import openai
from google import genai

WORDS = [{"role": "user", "content": "one two three"}]
BOTH = "get_weather get_news Oslo"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
NAMES = ("get_weather", "get_news")


def chat(url, target):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    reply = client.chat.completions.create(model=f"{target}/echo", messages=WORDS)
    return reply.choices[0].message.content


def chat_stream(url, target):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    chunks = client.chat.completions.create(model=f"{target}/echo", messages=WORDS, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def chat_tools(url, target):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    functions = [{"name": name, "description": "It", "parameters": SCHEMA} for name in NAMES]
    tools = [{"type": "function", "function": function} for function in functions]
    messages = [{"role": "user", "content": BOTH}]
    with client.chat.completions.stream(
        model=f"{target}/tools", messages=messages, tools=tools
    ) as events:
        message = events.get_final_completion().choices[0].message
    messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
    for call, content in zip(message.tool_calls, ("rain", "news"), strict=True):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    reply = client.chat.completions.create(model=f"{target}/tools", messages=messages, tools=tools)
    return reply.choices[0].message.content


def responses(url, target):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    first = client.responses.create(model=f"{target}/echo", input="one")
    with client.responses.stream(
        model=f"{target}/echo", input="two three", previous_response_id=first.id
    ) as events:
        second = events.until_done().get_final_response()
    return f"{first.output_text} {second.output_text}"


def responses_tools(url, target):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    tools = [
        {
            "type": "function",
            "name": name,
            "description": "It",
            "parameters": SCHEMA,
            "strict": True,
        }
        for name in NAMES
    ]
    asked = {"model": f"{target}/tools", "tools": tools}
    with client.responses.stream(input=BOTH, **asked) as events:
        first = events.until_done().get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": output}
        for call, output in zip(calls, ("rain", "news"), strict=True)
    ]
    reply = client.responses.create(input=outputs, previous_response_id=first.id, **asked)
    return reply.output_text


def messages(url, target):
    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
    reply = client.messages.create(model=f"{target}/echo", max_tokens=100, messages=WORDS)
    return reply.content[0].text


def messages_stream(url, target):
    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
    with client.messages.stream(model=f"{target}/echo", max_tokens=100, messages=WORDS) as events:
        return "".join(events.text_stream)


def messages_tools(url, target):
    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
    tools = [{"name": name, "description": "It", "input_schema": SCHEMA} for name in NAMES]
    asked = {"model": f"{target}/tools", "max_tokens": 1000, "tools": tools}
    turns = [{"role": "user", "content": BOTH}]
    with client.messages.stream(messages=turns, **asked) as events:
        first = events.get_final_message()
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": content}
        for call, content in zip(calls, ("rain", "news"), strict=True)
    ]
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    return client.messages.create(messages=turns, **asked).content[0].text


def count_tokens(url, target):
    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
    counted = client.messages.count_tokens(model=f"{target}/echo", messages=WORDS)
    return "at least 3" if counted.input_tokens >= 3 else "less"


def generate(url, target):
    client = genai.Client(api_key="unused", http_options={"base_url": url})
    return client.models.generate_content(model=f"{target}/echo", contents="one two three").text


def generate_stream(url, target):
    client = genai.Client(api_key="unused", http_options={"base_url": url})
    chat = client.chats.create(model=f"{target}/echo")
    return "".join(chunk.text or "" for chunk in chat.send_message_stream("one two three"))


CASES = {
    "chat": chat,
    "chat stream": chat_stream,
    "chat tools": chat_tools,
    "responses": responses,
    "responses tools": responses_tools,
    "messages": messages,
    "messages stream": messages_stream,
    "messages tools": messages_tools,
    "count tokens": count_tokens,
    "generate": generate,
    "generate stream": generate_stream,
}

if __name__ == "__main__":
    gateway, *targets = sys.argv[1:]
    for target in targets:
        for name, run in CASES.items():
            told = {"case": name, "target": target}
            try:
                told["said"] = run(gateway, target)
            except Exception as error:  # noqa: BLE001 - reported, and the next case runs
                told["error"] = repr(error)
            print(json.dumps(told))
