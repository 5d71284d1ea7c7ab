"""JSON schemas and calls of a tool with the default model, over OpenAI's own client.

Each request has a schema of its own: objects, lists, enumerations, bounded texts and numbers, one
in another. What was asked is kept in a file, and the same command goes on from there.
    python -m tests.nightly.structured [--schemas 200] [--calls 50] [--minutes 10] [--kept FILE]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs
import openai

from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.registry import resolve
from rag_app.settings import DEFAULTS
from tests.rag_app.server.serving import official_of, serving
from tests.rag_app.server.test_clients import WEATHER

PLACES = "北京 上海 天津 重庆 广州 深圳 杭州 南京 武汉 成都 西安 长沙 济南 青岛 大连 沈阳"
WAYS = (
    "{}今天天气怎么样？",
    "查一下{}的天气。",
    "我要去{}，那里下雨吗？",
    "What is the weather in {}?",
)
NAMES = ("name", "kind", "size", "tags", "note", "place", "done", "year")


def value_schema(random: Random, depth: int) -> dict[str, Any]:
    """Return a schema of one value, with others inside where ``depth`` is left."""
    kinds = ["text", "choice", "whole", "number", "flag"] + ["list", "object"] * (depth > 0)
    match random.choice(kinds):
        case "text":
            return {"type": "string", "maxLength": random.randrange(3, 16)}
        case "choice":
            return {"enum": random.sample(["城市", "人", "物", "事", 1, None, True], 3)}
        case "whole":
            least = random.randrange(-9, 10)
            return {"type": "integer", "minimum": least, "maximum": least + random.randrange(99)}
        case "number":
            return {"type": "number"}
        case "flag":
            return {"type": "boolean"}
        case "list":
            items = value_schema(random, depth - 1)
            return {"type": "array", "items": items, "minItems": 1, "maxItems": 2}
    return object_schema(random, depth - 1)


def object_schema(random: Random, depth: int = 1) -> dict[str, Any]:
    """Return the schema of an object with a few fields, not all of them required."""
    names = random.sample(NAMES, random.randrange(1, 4))
    return {
        "type": "object",
        "properties": {name: value_schema(random, depth) for name in names},
        "required": names[: random.randrange(1, len(names) + 1)],
        "additionalProperties": False,
    }


def follows_schema(client: openai.OpenAI, number: int) -> bool:
    random = Random(number)
    schema = object_schema(random)
    asked = f"用JSON描述{random.choice(PLACES.split())}，第{number}次，越短越好。"
    answer = client.chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": asked}],
        max_tokens=300,
        temperature=0.8,
        seed=number,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    text = answer.choices[0].message.content or ""
    try:
        # A number may be too large for Python: of it only the form was asked for.
        valid = jsonschema_rs.is_valid(schema, json.loads(text, parse_float=lambda _: 0.5))
    except ValueError:
        valid = False
    if not valid:
        print(json.dumps(schema, ensure_ascii=False), repr(text), answer.choices[0].finish_reason)
    return valid


def calls_tool(client: openai.OpenAI, number: int) -> bool:
    places = PLACES.split()
    asked = WAYS[number // len(places) % len(WAYS)].format(places[number % len(places)])
    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": asked}], tools=[WEATHER]
    )
    message = answer.choices[0].message
    calls = [call for call in message.tool_calls or () if call.type == "function"]
    cities = [json.loads(call.function.arguments).get("city") for call in calls]
    well_formed = len(cities) == 1 and isinstance(cities[0], str)
    if not well_formed:
        print(asked, message)
    return well_formed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemas", type=int, default=200)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--kept", type=Path, default=Path("structured.jsonl"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    lines = options.kept.read_text("utf-8").splitlines() if options.kept.exists() else []
    kept = {(kind, number): good for kind, number, good in map(json.loads, lines)}
    wanted = [("schema", number) for number in range(options.schemas)]
    wanted += [("call", number) for number in range(options.calls)]
    llm = LlamaCppChat(
        path=Path(resolve(DEFAULTS.llm)[1]),
        context_length=2048,
        parallel=1,
        threads=options.threads,
        max_tokens=120,
    )
    deadline = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as home:
        os.environ["RAG_APP_HOME"] = home
        with (
            serving(llm=llm) as served,
            official_of(served) as client,
            options.kept.open("a") as to,
        ):
            for kind, number in wanted:
                if time.monotonic() > deadline:
                    break
                if (kind, number) not in kept:
                    check = follows_schema if kind == "schema" else calls_tool
                    kept[kind, number] = check(client, number)
                    line = json.dumps([kind, number, kept[kind, number]])
                    print(line, file=to, flush=True)
    done = [key for key in wanted if key in kept]
    asked = Counter(kind for kind, _ in done)
    good = Counter(kind for kind, number in done if kept[kind, number])
    for kind in asked:
        print(f"{kind}: {good[kind]} of {asked[kind]} well-formed")
    sys.exit(good != asked)


if __name__ == "__main__":
    main()
