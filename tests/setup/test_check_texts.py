"""tools/check_texts.py: names hosts, machine paths and papers that only we have, and passes what only looks like them."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_texts  # noqa: E402


class CheckTextsTest(unittest.TestCase):
    def test_a_registry_host(self):
        host = ".".join(["files", "pythonhosted", "org"])
        self.assertEqual(len(check_texts.faults_of("a.md", f"fine\nget https://{host}/x\n")), 1)

    def test_machine_paths(self):
        for folder in ["work", "root", "tmp"]:
            self.assertEqual(len(check_texts.faults_of("a.sh", f'cp "/{folder}/x" y\n')), 1, folder)

    def test_papers_that_only_we_have(self):
        for text in ["as " + "DESIGN" + ".md says", "../" + "shared/data", "see " + "issue" + " 12",
                     "INTER" + "FACE: the audit", "INTER" + "FACE's shape"]:
            self.assertEqual(len(check_texts.faults_of("a.md", text)), 1, text)
        fine = "ggml-org/llama.cpp#12 note 0012 the issue's 12 requests, shared/ redesign.md INTERFACE PUBLIC\n"
        self.assertEqual(check_texts.faults_of("a.md", fine), [])

    def test_what_only_looks_like_one(self):
        text = "~/home/x ${HOME}/tmp/x build/work/x /usr/bin/x the PyPI package /tmpfs/x\n"
        self.assertEqual(check_texts.faults_of("a.md", text), [])


if __name__ == "__main__":
    unittest.main()
