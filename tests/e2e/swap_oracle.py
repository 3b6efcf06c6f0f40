"""What any answer must be, whatever was asked: an answer, or an error in OpenAI's shape that names a place of the
request. Each function returns what is wrong, or None."""

import json
import re

# Changing the one makes the other wrong.
DEPENDENTS = {
    "tools": {"tool_choice", "response_format", "messages", "input"},  # the prompt tells of them
    "instructions": {"input"},
    "tool_choice": {"tools"},
    "logprobs": {"top_logprobs"},
    "stream": {"stream_options"},
    "messages": {"tools", "max_tokens", "max_completion_tokens"},
    "max_tokens": {"messages", "prompt"},
    "response_format": {"tools"},
    "input": {"tools", "max_output_tokens", "tool_choice"},
    "max_output_tokens": {"input"},
    "text": {"tools"},
    "output_config": {"tools"},
    "store": {"background"},
    "background": {"store"},
    "system": {"messages"},
}
MESSAGES = "/v1/messages"  # Anthropic's: other errors, other streams
TEXT_ANSWERS = {"/": "text/html", "/metrics": "text/plain", "/v1/cache/export": "application/x-ndjson"}


def top(path):
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def is_related(param, touched):
    """The error is about what was changed, what holds it, what is in it, or what depends on it."""
    if touched in ("", "model") or param == "":
        return True
    return top(param) == top(touched) or top(param) in DEPENDENTS.get(top(touched), ())


def is_in_request(param, case):
    """It is there now, was there before, lies in what was put there, or is what its holder lacks."""
    swapped = case.swapped
    if case.where in ("query", "path", "header"):
        return param in swapped.touched
    inside = (param.startswith((one + ".", one + "[")) or one == "" for one in swapped.touched)
    if param in swapped.paths or any(inside):
        return True
    holder = param[: max(param.rfind("."), param.rfind("["), 0)]
    return holder in swapped.paths


def wrong_message_error(status, data, case):
    """The place stands in the message alone."""
    try:
        body = json.loads(data)
        kind, message = body["error"]["type"], body["error"]["message"]
    except (ValueError, TypeError, KeyError):
        return f"no error in Anthropic's shape: {data[:200]!r}"
    if body.get("type") != "error" or not set(body) <= {"type", "error", "request_id"} or set(body["error"]) != {"type", "message"}:
        return f"an error with the members {sorted(body)}, {sorted(body['error'])}"
    if not isinstance(message, str) or not message or len(message) > 2_000 + len(case.target) or not isinstance(kind, str):
        return f"type {kind!r}, message {message!r:.200}"
    param = re.search(r"^'(.+?)'[: ]", message)
    return wrong_place(message, param and param[1], case) if status == 400 else None


def wrong_error(status, data, case):
    unread = b"hexadecimal digits" in data and b'"param"' in data  # a path that HTTP's parser could not read has no API
    if case.route.startswith(MESSAGES) and not unread:
        return wrong_message_error(status, data, case)
    try:
        body = json.loads(data)
        error = body["error"]
        message, param = error["message"], error["param"]
    except (ValueError, TypeError, KeyError):
        return f"no error in OpenAI's shape: {data[:200]!r}"
    if set(error) != {"message", "type", "param", "code"}:
        return f"an error with the members {sorted(error)}"
    if not isinstance(message, str) or not message or len(message) > 2_000 + len(case.target):  # some quote the path
        return f"a message of {len(message) if isinstance(message, str) else type(message)} characters"
    if not (param is None or isinstance(param, str)) or not isinstance(error["type"], str):
        return f"param {param!r}, type {error['type']!r}"
    return wrong_place(message, param, case) if status == 400 else None


def wrong_place(message, param, case):
    if case.where in ("body", "lines") and param is None:
        if case.swapped.readable:
            whole = "" in case.swapped.touched  # the whole body, which has no name
            return None if whole else f"a 400 that names no path: {message}"
        placed = re.search(r"line \d+|levels|UTF-8|empty|pack|surrogate", message, re.IGNORECASE)
        return None if placed else f"a 400 without a place: {message}"
    if param is None:
        return None
    if "local models only" in message or "takes a chat" in message:
        return None  # of the model that was chosen, not of what was changed
    if param.split(".")[-1] == '""' and "renamed to nothing" in case.swapped.what:
        return None  # so is a member shown whose name is empty
    if not is_in_request(param, case):
        return f"a 400 that names {param!r}, which isn't in the request: {message}"
    one_of_several = any(f"'{top(one)}'" in message for one in case.swapped.touched if one)  # of which one must be sent
    if case.where == "body" and not one_of_several and not any(is_related(param, one) for one in case.swapped.touched):
        return f"a 400 that names {param!r}, which wasn't changed: {message}"
    if not speaks_of(message, param):
        return f"a 400 whose message doesn't speak of {param!r}: {message}"
    return None


def speaks_of(message, param):
    names = {param, top(param), re.split(r"[.\[]", param)[-1].rstrip("]")}
    said = message.casefold()
    return any(name.casefold().rstrip("s") in said for name in names if name) or (top(param) in ("messages", "input") and "prompt" in said)


def wrong_stream(data, case):
    """A stream of server-sent events: each is JSON, and none is our own failure."""
    events = [part for part in data.decode("utf-8", "strict").split("\n\n") if part and not part.startswith(":")]
    for event in events:
        payload = "".join(line[5:].strip() for line in event.split("\n") if line.startswith("data:"))
        if payload == "[DONE]":
            continue
        try:
            body = json.loads(payload)
        except ValueError:
            return f"an event that is no JSON: {event[:200]!r}"
        if isinstance(body, dict) and body.get("type") == "response.failed":
            return f"a failure in the stream: {body['response']['error']}"
        error = body.get("error") if isinstance(body, dict) else None
        if error and case.route == MESSAGES:
            return f"an error in the stream: {error}"
        if error and error.get("type") == "server_error":
            return f"an error in the stream: {error}"
        if error:
            return wrong_error(200, payload, case)
    ends = {"/v1/dashboard/events": ("",), MESSAGES: ("event: message_stop",),
            "/v1/responses": ("event: response.completed", "event: response.incomplete")}
    if not events[-1].startswith(ends.get(case.route, ("data: [DONE]",))):
        return f"a stream that ends without its last event: {data[-200:]!r}"
    return None


def wrong_answer(case, status, headers, data):
    """None, or what is wrong."""
    kind = headers.get("content-type", "")
    not_cached = b"only-if-cached was asked" if case.route.startswith(MESSAGES) else b"not_cached"  # no codes there
    if status == 504 and not_cached in data and "only-if-cached" in case.headers.get("cache-control", ""):
        return None  # what RFC 9111 says
    if status == 504 and b'"permutation.budget.seconds"' in data and b'"seconds"' in (case.body or b""):
        return None  # the request's own limit
    if status >= 500 or status < 200:
        return f"{status} {data[:300]!r}"
    if status >= 400:
        return wrong_error(status, data, case)
    if status not in (200, 202):
        return f"{status}, which no route answers"
    if kind.startswith("text/event-stream"):
        return wrong_stream(data, case)
    if kind.startswith("application/json"):
        try:
            return None if isinstance(json.loads(data), dict) else f"200 with {data[:100]!r}"
        except ValueError:
            return f"200 with what is no JSON: {data[:200]!r}"
    expected = TEXT_ANSWERS.get(case.route, "application/octet-stream")
    return None if kind.startswith(expected) else f"200 of the type {kind!r}"
