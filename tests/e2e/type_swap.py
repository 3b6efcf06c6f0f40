"""What is done to a JSON tree: another value at a path, or a member removed, doubled or renamed."""

import dataclasses

from json_text import Members, Raw, edited, path_text, replaced, text_of, tree_of, walk


def deep(levels, open="[", close="]"):
    return Raw(open * levels + "1" + close * levels)


def as_text(text):
    return Raw('"' + text + '"')


# What stands at the path afterwards; a function gets what stood there before.
VALUES = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "minus one": -1,
    "a half": 0.5,
    "1e308": Raw("1e308"),
    "2^63": Raw(str(2**63)),
    "2^64": Raw(str(2**64)),
    "10^30": Raw(str(10**30)),
    "below -2^63": Raw(str(-(2**63) - 1)),
    "-0.0": Raw("-0.0"),
    "1e-320": Raw("1e-320"),
    "1e400": Raw("1e400"),
    "an empty string": "",
    "a string": "x",
    "a wrong enum": "no-such-thing",
    "a long string": "x" * 200_000,  # past every context: it is refused, not read
    "a NUL": as_text("a\\u0000b"),
    "a lone surrogate": as_text("\\ud800"),
    "surrogates the wrong way round": as_text("\\udc00\\ud800"),
    "bytes that are no UTF-8": as_text("a\udcff\udcfeb"),
    "a number as text": "1",
    "JSON as text": '{"type": "function", "function": {"name": "f"}}',
    "deep JSON as text": as_text("[" * 100_000),
    "an empty array": [],
    "an array": ["x"],
    "an array of null": [None],
    "an array of arrays": [[1]],
    "an array of objects": [Members()],
    "an empty object": Members(),
    "an object": Members([("x", 1)]),
    "an object with an empty name": Members([("", None)]),
    "100 deep arrays": deep(100),
    "100 deep objects": deep(100, '{"x":', "}"),
    "100,000 deep arrays": deep(100_000),
    "100,000 open arrays": Raw("[" * 100_000),
    "itself in an array": lambda old: [old],
    "itself in an object": lambda old: Members([("value", old)]),
    "itself as text": lambda old: text_of(old),
    "itself 3,000 times": lambda old: (old or [1]) * 3_000 if type(old) is list else [old] * 3_000,
}
# With these the text is no JSON that anybody must read: an error has the place, and perhaps no path.
UNREADABLE = {
    "a lone surrogate", "surrogates the wrong way round", "bytes that are no UTF-8", "100 deep arrays",
    "100 deep objects", "100,000 deep arrays", "100,000 open arrays",
}  # fmt: skip
LOOK_ALIKE = str.maketrans("aceopxy", "асеорху")  # Cyrillic


def renamed(to):
    def edit(container, at):
        container[at] = (to(container[at][0]), container[at][1])

    return edit


def doubled(first):
    """The member twice, the other time with another value: of a repeated name the last one counts."""

    def edit(container, at):
        other = Members([("x", [None])])
        pair = (container[at][0], other) if isinstance(container, Members) else other
        container.insert(at if first else at + 1, pair)

    return edit


def remove(container, at):
    del container[at]


EDITS = {"removed": remove, "doubled before": doubled(True), "doubled after": doubled(False)}
MEMBER_EDITS = {
    "renamed to capitals": renamed(str.upper),
    "renamed with a space": renamed(lambda name: name + " "),
    "renamed with a NUL": renamed(lambda name: name[:1] + "\0" + name[1:]),
    "renamed to a look-alike": renamed(lambda name: name.translate(LOOK_ALIKE) + "ѕ"),
    "renamed to nothing": renamed(lambda name: ""),
}
CHANGES = [*VALUES, *EDITS, *MEMBER_EDITS]


@dataclasses.dataclass
class Swapped:
    tree: object
    what: str  # "messages[0].role: null"
    paths: set  # the texts of all paths that it has now, or had before
    touched: list  # the texts of the paths that were changed
    readable: bool  # it is still JSON

    def text(self):
        return text_of(self.tree)


def changes_at(path):
    """The changes that there are for a path."""
    return [*VALUES, *(EDITS if path else ()), *(MEMBER_EDITS if path and isinstance(path[-1], str) else ())]


def change(tree, path, name):
    if name in VALUES:
        value = VALUES[name]
        if callable(value):
            value = value(next(one for at, one in walk(tree) if at == path))
        return replaced(tree, path, value)
    return edited(tree, path, {**EDITS, **MEMBER_EDITS}[name])


def swap(tree, path, name):
    after = change(tree, path, name)
    before, now = ({path_text(at) for at, _ in walk(one)} for one in (tree, after))
    touched = path_text(path)
    what = f"{touched or 'the whole body'}: {name}"
    return Swapped(after, what, before | now, [touched, *(now - before)], name not in UNREADABLE)


def unchanged(value):
    tree = tree_of(value)
    return Swapped(tree, "as it is", {path_text(at) for at, _ in walk(tree)}, [], True)


def random_swap(tree, path, random):
    """One change at `path`, and sometimes a second one anywhere."""
    one = swap(tree, path, random.choice(changes_at(path)))
    if random.random() > 0.2 or not one.readable or "doubled" in one.what:  # then a path means two places
        return one
    second, _ = random.choice(list(walk(one.tree)))
    two = swap(one.tree, second, random.choice(changes_at(second)))
    return Swapped(two.tree, f"{one.what}; {two.what}", one.paths | two.paths, one.touched + two.touched, two.readable)
