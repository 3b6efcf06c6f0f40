"""tools/check_rooms.py on small houses of its own: it passes what the arrows allow and names what they don't."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_rooms  # noqa: E402

TABLE = """# House
## Rooms
```
src/
  base/   bricks, mortar        -> nothing
  kv/     pages                 -> base
  model/  graphs                -> kv
  net/    sockets               -> base
  app/    wiring                -> all
lab/      scales                -> model
bench/    how fast              -> lab
evals/    how right             -> lab
  <llama.h>, <ggml.h>           -> model
```
"""
GOOD = {
    "base/a.h": "#include <vector>\n",
    "kv/a.h": '#include "base/a.h"\n',
    "model/a.cpp": '#include <llama.h>\n#include "kv/a.h"\n#include "base/a.h"\n#include "model/a.h"\n',
    "net/a.h": "",
    "app/a.cpp": '#include "net/a.h"\n#include "model/a.h"\n',
    "../lab/a.h": '#include "model/a.h"\n',
    "../bench/a.cpp": '#include "bench/a.h"\n#include "lab/a.h"\n#include "base/a.h"\n',
    "../bench/a.h": "",
    "../evals/a.cpp": '#include "lab/a.h"\n',
    "../docs/a.md": "",
}


class CheckRoomsTest(unittest.TestCase):
    def faults(self, files, table=TABLE):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "ARCHITECTURE.md").write_text(table)
            for name, content in files.items():
                path = root / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            return check_rooms.check(root)

    def assert_one_fault(self, expected, files, table=TABLE):
        faults = self.faults(files, table)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(expected, faults[0])

    def test_a_house_that_keeps_its_arrows(self):
        self.assertEqual(self.faults(GOOD), [])

    def test_against_an_arrow(self):
        self.assert_one_fault("src/base/b.h:2: \"kv/a.h\": no arrow leads from base/ to kv/",
                              GOOD | {"base/b.h": '#pragma once\n#include "kv/a.h"\n'})

    def test_between_rooms_without_an_arrow(self):
        self.assert_one_fault("no arrow leads from net/ to kv/", GOOD | {"net/b.cpp": '  #  include "kv/a.h"\n'})

    def test_a_test_file_counts_too(self):
        self.assert_one_fault("kv/a_test.cpp:1", GOOD | {"kv/a_test.cpp": '#include "model/a.h"\n'})

    def test_a_folder_that_is_no_room(self):
        self.assert_one_fault("src/attic: a folder that the table doesn't have", GOOD | {"attic/a.h": ""})
        self.assert_one_fault("attic: a folder that the table doesn't have", GOOD | {"../attic/deep/a.cpp": ""})
        self.assertEqual(self.faults(GOOD | {"../build/a.cpp": "", "../.venv/a.h": ""}), [])

    def test_folders_beside_src_have_arrows_too(self):
        self.assert_one_fault("bench/b.cpp:1: \"evals/a.h\": no arrow leads from bench/ to evals/",
                              GOOD | {"../bench/b.cpp": '#include "evals/a.h"\n'})
        self.assert_one_fault("no arrow leads from bench/ to net/", GOOD | {"../bench/b.cpp": '#include "net/a.h"\n'})
        self.assert_one_fault("no arrow leads from lab/ to app/", GOOD | {"../lab/b.h": '#include "app/a.h"\n'})
        self.assert_one_fault('"a.h": write includes as', GOOD | {"../bench/b.cpp": '#include "a.h"\n'})
        self.assert_one_fault("<llama.h>: bench/ must not see ggml", GOOD | {"../bench/b.cpp": "#include <llama.h>\n"})

    def test_the_product_never_sees_what_measures_it(self):
        self.assert_one_fault("no arrow leads from app/ to lab/", GOOD | {"app/b.cpp": '#include "lab/a.h"\n'})
        self.assert_one_fault("src/net must not see lab/", GOOD, TABLE.replace("sockets               -> base", "sockets               -> lab"))

    def test_a_room_without_a_folder(self):
        self.assert_one_fault("no folder src/net",
                              {n: c for n, c in GOOD.items() if n != "net/a.h"} | {"app/a.cpp": "", "../evals/a.cpp": ""})
        self.assert_one_fault("no folder evals", {n: c for n, c in GOOD.items() if "evals" not in n})

    def test_an_include_without_its_room(self):
        self.assert_one_fault('"a.h": write includes as "room/file.h"', GOOD | {"kv/b.cpp": '#include "a.h"\n'})
        self.assert_one_fault('"../base/a.h": write', GOOD | {"kv/b.cpp": '#include "../base/a.h"\n'})

    def test_ggml_outside_its_rooms(self):
        self.assert_one_fault("<ggml-cpu.h>: kv/ must not see ggml", GOOD | {"kv/b.cpp": "#include <ggml-cpu.h>\n"})

    def test_an_arrow_to_no_room(self):
        self.assert_one_fault("'roof', which is no room", GOOD, TABLE.replace("-> kv\n", "-> kv, roof\n"))

    def test_rooms_that_include_each_other(self):
        faults = self.faults(GOOD, TABLE.replace("pages                 -> base", "pages                 -> model"))
        self.assertTrue(any("kv/ includes itself by its arrows" in fault for fault in faults), faults)

    def test_a_line_that_is_not_read_is_a_fault(self):
        self.assert_one_fault("not a line of the table", GOOD, TABLE.replace("  net/ ", "  Net/ "))

    def test_no_table(self):
        self.assert_one_fault("no fenced block", GOOD, "# House\n")


if __name__ == "__main__":
    unittest.main()
