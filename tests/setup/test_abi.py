"""tools/abi.py: what is found when the header changes, and what is accepted. By a small library over a copy of the real header."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = """
#include <permutation/permutation.h>
struct permutation_engine { int not_the_callers; };
int permutation_abi(void) { return PERMUTATION_ABI; }
int permutation_engine_close(permutation_engine* engine) { return engine->not_the_callers; }
int permutation_cache_store(permutation_cache*, const permutation_key*, const char*, size_t, const permutation_store_options*,
                            permutation_error*) { return 0; }
"""


@unittest.skipUnless(shutil.which("abidw") and shutil.which("g++"), "needs abigail-tools and g++")
class Abi(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(ROOT / "embed/include", self.root / "embed/include")
        self.header = self.root / "embed/include/permutation/permutation.h"
        self.source = LIBRARY
        self.build()
        self.assertEqual(self.abi().returncode, 0)
        self.assertEqual(self.abi("--check").returncode, 0)

    def build(self, number=1):
        (self.root / "library.cpp").write_text(self.source)
        subprocess.run(["g++", "-g", "-shared", "-fPIC", f"-Wl,-soname,libpermutation.so.{number}", f"-I{self.root}/embed/include",
            "-o", self.root / "libpermutation.so", self.root / "library.cpp"], check=True)  # fmt: skip

    def change(self, before, after):
        text = self.header.read_text()
        self.assertIn(before, text)
        self.header.write_text(text.replace(before, after))

    def abi(self, *options):
        command = [sys.executable, "-B", ROOT / "tools/abi.py", self.root, self.root / "libpermutation.so", *options]
        return subprocess.run(command, capture_output=True, text=True)

    def assert_it_takes_a_number(self, *names):
        for options in (["--check"], []):
            done = self.abi(*options)
            self.assertEqual(done.returncode, 1, done.stdout)
            for name in names:
                self.assertIn(name, done.stdout)
        self.build(number=2)
        self.assertEqual(self.abi("--check").returncode, 1)
        self.assertEqual(self.abi().returncode, 0)
        self.assertEqual(self.abi("--check").returncode, 0)

    def test_another_type_of_a_member(self):
        self.change("int64_t tokens; /* what computing", "int32_t tokens; /* what computing")
        self.build()
        self.assertEqual(self.abi("--check").returncode, 0, "no function here has a permutation_entry")
        self.change("  int64_t tokens;\n", "  int32_t tokens;\n")
        self.build()
        self.assert_it_takes_a_number("permutation_store_options", "tokens")

    def test_another_parameter(self):
        self.change("permutation_engine_close(permutation_engine* engine);", "permutation_engine_close(permutation_engine* engine, int);")
        self.source = self.source.replace("(permutation_engine* engine)", "(permutation_engine* engine, int)")
        self.build()
        self.assert_it_takes_a_number("permutation_engine_close")

    def test_a_function_that_is_gone(self):
        self.source = self.source.replace("int permutation_abi(void) { return PERMUTATION_ABI; }", "")
        self.build()
        self.assert_it_takes_a_number("permutation_abi")

    def test_a_function_more_takes_no_number(self):
        self.source += 'extern "C" int permutation_more(void) { return 0; }\n'
        self.build()
        self.assertEqual(self.abi("--check").returncode, 1)
        self.assertEqual(self.abi().returncode, 0)
        self.assertEqual(self.abi("--check").returncode, 0)

    def test_what_stands_behind_a_handle_is_free_to_change(self):
        self.source = self.source.replace("int not_the_callers;", "int not_the_callers; double more[9];")
        self.build()
        self.assertEqual(self.abi("--check").returncode, 0)


if __name__ == "__main__":
    unittest.main()
