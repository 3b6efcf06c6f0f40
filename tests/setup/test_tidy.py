"""tools/tidy.py: what clang-tidy finds in one file it also finds in files that are compiled together."""

import json
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import tidy  # noqa: E402

# A line for each check that .clang-tidy has, save the one that clang-tidy makes of a main file alone.
FAULTS = {
    "bugprone-infinite-loop": "void loop() { int i = 0; while (i < 10) {} }",
    "bugprone-move-forwarding-reference": "template <class T> void pass(T&& t) { T u = std::move(t); }",
    "bugprone-string-constructor": "std::string swapped() { return std::string('x', 50); }",
    "bugprone-use-after-move": "std::size_t after(std::string s) { std::string t = std::move(s); return t.size() + s.size(); }",
    "google-explicit-constructor": "struct Converted { Converted(int value); };",
    "modernize-use-override": "struct Base { virtual void f(); virtual ~Base(); };\nstruct Derived : Base { virtual void f(); };",
    "performance-for-range-copy": "std::size_t copies(const std::vector<std::string>& all) {\n"
                                  "  std::size_t n = 0;\n  for (const auto s : all) n += s.size();\n  return n;\n}",
    "performance-move-const-arg": "std::string moves(const std::string& s) { return std::move(s); }",
    "performance-unnecessary-copy-initialization":
        "std::size_t initial(const std::string& s) { const std::string t = s; return t.size(); }",
    "readability-identifier-naming": "int BadName = 0;",
}
SOURCE = "#include <string>\n#include <string_view>\n#include <utility>\n#include <vector>\n\n"


class TidyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.build = self.root / "build"
        (self.root / "src" / "room").mkdir(parents=True)
        self.build.mkdir()
        (self.root / ".clang-tidy").write_text((ROOT / ".clang-tidy").read_text())

    def unit(self, **sources):
        """The entry that compiles these files of src/room together."""
        files = [self.root / "src" / "room" / f"{name}.cpp" for name in sources]
        for file, text in zip(files, sources.values()):
            file.write_text(text)
        unit = self.build / "unity_0_cxx.cxx"
        unit.write_text("".join(f'#include "{file}"\n' for file in files))
        (self.build / "compile_commands.json").write_text(json.dumps([
            {"directory": str(self.build), "file": str(unit), "output": "unit.o",
             "command": f"c++ -std=c++20 -I{self.root}/src -o unit.o -c {unit}"}]))
        entries = tidy.units(self.root, self.build)
        self.assertEqual([entry["file"] for entry in entries], [str(unit)])
        return entries[0]

    def test_every_check_sees_the_files_of_a_unit(self):
        listed = {line.strip(" ,") for line in (ROOT / ".clang-tidy").read_text().split("WarningsAsErrors")[0].splitlines()[4:]}
        self.assertEqual({line for line in listed if line.strip("-*")}, {*FAULTS, "misc-unused-using-decls"})
        entry = self.unit(first="int first() { return 1; }\n", second=SOURCE + "\n".join(FAULTS.values()) + "\n")
        status, said = tidy.run_one(entry["file"], self.build)
        self.assertNotEqual(status, 0)
        for check in FAULTS:
            self.assertRegex(said, rf"src/room/second\.cpp:\d+:\d+: error: .*\[{check}\b", check)

    def test_a_finding_is_told_of_the_file_that_has_it(self):
        told = tidy.findings_of(self.unit(good="int first() { return 1; }\n", bad="int BadName = 0;\n"), self.build)
        self.assertEqual(len(told), 1)
        self.assertIn("src/room/bad.cpp", told[0])

    def test_an_unused_using_declaration_is_told(self):
        used = SOURCE + "using std::pair;\npair<int, int> both() { return {}; }\n"
        unused = SOURCE + "using std::pair;  // pair\nint second() { return 2; }\n"
        told = tidy.findings_of(self.unit(used=used, unused=unused), self.build)
        self.assertEqual(len(told), 1)
        self.assertRegex(told[0], r"src/room/unused\.cpp:.*\[misc-unused-using-decls\b")

    def test_a_headers_finding_is_told(self):
        (self.root / "src" / "room" / "part.h").write_text("#pragma once\nstruct Part { Part(int value); };\n")
        entry = self.unit(one='#include "room/part.h"\n', two="int second() { return 2; }\n")
        self.assertIn("src/room/part.h", "".join(tidy.findings_of(entry, self.build)))

    def test_what_only_the_unit_has_counts_for_none(self):
        entry = self.unit(one="namespace { int count = 1; }\nint first() { return count; }\n",
                          two="namespace { int count = 2; }\nint second() { return count; }\n")
        self.assertEqual(tidy.findings_of(entry, self.build), [])


if __name__ == "__main__":
    unittest.main()
