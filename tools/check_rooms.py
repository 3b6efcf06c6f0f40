#!/usr/bin/env python3
"""Proves the room arrows: every #include "room/..." of our C++ follows the table in ARCHITECTURE.md.

The table is the first fenced block under a heading that says "Rooms": one line a room,
`room/   what it is   -> the rooms that it may include`. Indented lines are folders of src/, the others folders of
the root (bench/, evals/ and so on), which nothing in src/ may include. `nothing` is none, `all` is every other room
of src/. An arrow allows what the other room may include too. Third-party headers are written in <>, and those of
ggml and llama.cpp only in the rooms of the line `<llama.h>, <ggml.h> -> ...` of the same block.

Usage: check_rooms.py ROOT. Exit status: 0 it holds, 1 it doesn't (each fault on stdout as file:line: what).
"""

import pathlib
import re
import sys

ROOM_LINE = re.compile(r"^(?P<indent>\s*)(?P<room>[a-z0-9_]+)/\s+.*->\s*(?P<arrows>[a-z0-9_, ]+?)\s*$")
GGML_LINE = re.compile(r"^\s*<llama\.h>, <ggml\.h>\s.*->\s*(?P<rooms>[a-z0-9_, ]+?)\s*$")
SOURCES = {".h", ".cpp", ".in"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?P<open>["<])(?P<path>[^">]+)[">]')
GGML_HEADER = re.compile(r"^(llama|ggml|gguf|common/|chat\.h|sampling\.h)")


def rooms_block(text):
    """The lines of the first fenced block after a heading that says "Rooms", or None."""
    heading = re.search(r"^#+ .*\bRooms\b.*$", text, re.MULTILINE)
    block = heading and re.search(r"^```[^\n]*\n(.*?)^```", text[heading.end() :], re.MULTILINE | re.DOTALL)
    return block.group(1).splitlines() if block else None


def read_arrows(lines):
    """({room: rooms of its arrows}, {room: its folder}, rooms that may see ggml, faults of the table)."""
    arrows, folders, ggml, faults = {}, {}, set(), []
    for line in lines:
        if match := ROOM_LINE.match(line):
            room = match["room"]
            arrows[room] = {a.strip() for a in match["arrows"].split(",")} - {"nothing"}
            folders[room] = f"src/{room}" if match["indent"] else room
        elif match := GGML_LINE.match(line):
            ggml = {r.strip() for r in match["rooms"].split(",")}
        elif "->" in line:
            faults.append(f"not a line of the table: {line.strip()}")
    for room, targets in arrows.items():
        if targets == {"all"}:
            arrows[room] = {r for r in arrows if folders[r].startswith("src/")} - {room}
    unknown = sorted((set().union(*arrows.values()) | ggml) - set(arrows))
    faults += [f"an arrow leads to '{room}', which is no room of the table" for room in unknown]
    outside = {r for r in arrows if not folders[r].startswith("src/")}
    for room in sorted(set(arrows) - outside):
        faults += [f"src/{room} must not see {seen}/, which is no part of the product" for seen in sorted(arrows[room] & outside)]
    return arrows, folders, ggml, faults


def closure(arrows):
    """{room: every room that it may include}; arrows must know each of their targets."""
    reach = {}
    for room in arrows:
        seen, open_ends = set(), list(arrows[room])
        while open_ends:
            target = open_ends.pop()
            if target not in seen:
                seen.add(target)
                open_ends += arrows[target]
        reach[room] = seen
    return reach


def include_fault(room, include, reach, ggml):
    """What is wrong with one #include in `room`, or None."""
    path = include["path"]
    if include["open"] == "<":
        if GGML_HEADER.match(path) and room not in ggml:
            return f"<{path}>: {room}/ must not see ggml or llama.cpp"
        return None
    target = path.split("/")[0]
    if "/" not in path or target not in reach:
        return f'"{path}": write includes as "room/file.h", and third-party ones in <>'
    if target != room and target not in reach[room]:
        return f'"{path}": no arrow leads from {room}/ to {target}/'
    return None


def sources_of(folder):
    return sorted(file for file in folder.rglob("*") if file.suffix in SOURCES)


def folder_faults(root, folders):
    """A room without a folder, and a folder with C++ in it that is no room."""
    there = {path.relative_to(root).as_posix() for path in (root / "src").iterdir() if path.is_dir()}
    tops = (path for path in root.iterdir() if path.is_dir() and path.name not in {"src", "build"} and path.name[0] != ".")
    there |= {path.name for path in tops if path.name in folders or sources_of(path)}
    faults = [f"{folder}: a folder that the table doesn't have" for folder in sorted(there - set(folders.values()))]
    return faults + [f"ARCHITECTURE.md: no folder {folder}" for folder in sorted(set(folders.values()) - there)]


def check(root):
    root = pathlib.Path(root)
    lines = rooms_block((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    if lines is None:
        return ["ARCHITECTURE.md: no fenced block under a heading that says Rooms"]
    arrows, folders, ggml, faults = read_arrows(lines)
    faults = [f"ARCHITECTURE.md: {fault}" for fault in faults]
    if faults:
        return faults
    reach = closure(arrows)
    faults += [f"ARCHITECTURE.md: {room}/ includes itself by its arrows" for room in reach if room in reach[room]]
    faults += folder_faults(root, folders)
    for room, folder in sorted(folders.items()):
        for file in sources_of(root / folder):
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                include = INCLUDE.match(line)
                if include and (fault := include_fault(room, include, reach, ggml)):
                    faults.append(f"{file.relative_to(root)}:{number}: {fault}")
    return faults


def main():
    faults = check(sys.argv[1])
    print("\n".join(faults) if faults else "the room arrows hold")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
