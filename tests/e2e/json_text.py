"""JSON as text that may be wrong: members that come twice, numbers that no double holds, bytes that are no UTF-8.

A tree is made of Members (an object, as pairs), lists, Raw (text that is sent as it is) and JSON's scalars. A path is
a tuple of names and indices; path_text writes it as the server's errors do: messages[0].content.
"""

import json


class Raw(str):
    """JSON's text as it is sent. A lone \\udcXX is the byte XX."""


class Members(list):
    """An object as pairs of names and values: a name may come twice."""


def tree_of(value):
    if isinstance(value, dict):
        return Members((name, tree_of(one)) for name, one in value.items())
    if isinstance(value, list):
        return [tree_of(one) for one in value]
    return value


def text_of(tree):
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, Members):
        return "{" + ", ".join(f"{json.dumps(str(name))}: {text_of(one)}" for name, one in tree) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(text_of, tree)) + "]"
    return json.dumps(tree)


def bytes_of(tree):
    return text_of(tree).encode("utf-8", "surrogateescape")


def children(tree):
    """(name or index, value) of each member or item."""
    if isinstance(tree, Members):
        return list(tree)
    return list(enumerate(tree)) if isinstance(tree, list) else []


def walk(tree, path=()):
    """(path, value) of everything in it, itself first."""
    yield path, tree
    for name, value in children(tree):
        yield from walk(value, (*path, name))


def path_text(path):
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out


def edited(tree, path, edit):
    """A copy in which `edit(container, position)` has changed a copy of what holds `path`, which isn't ()."""
    copy = type(tree)(tree)
    position = path[0] if isinstance(path[0], int) else [name for name, _ in tree].index(path[0])
    if len(path) == 1:
        edit(copy, position)
        return copy
    below = edited(tree[position] if isinstance(path[0], int) else tree[position][1], path[1:], edit)
    copy[position] = below if isinstance(path[0], int) else (path[0], below)
    return copy


def replaced(tree, path, value):
    def put(container, at):
        container[at] = (container[at][0], value) if isinstance(container, Members) else value

    return edited(tree, path, put) if path else value
