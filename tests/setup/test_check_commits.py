"""tools/check_commits.py: a subject of at most 72 characters, then an empty line; older commits are left alone."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import check_commits  # noqa: E402


class CheckCommitsTest(unittest.TestCase):
    def test_what_reads_well(self):
        for message in ["net: hosts are parsed\n", "s" * 72 + "\n\nWhy.\nMore.\n"]:
            self.assertEqual(check_commits.faults_of(message), [], message)

    def test_what_does_not(self):
        for message in ["s" * 73, "subject\nbody", "\n\nbody", ""]:
            self.assertEqual(len(check_commits.faults_of(message)), 1, message)

    def test_a_repository(self):
        with tempfile.TemporaryDirectory() as folder:
            def git(*arguments):
                subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True,
                               capture_output=True)

            def check(since):
                code = f"import check_commits as c, sys; c.SINCE = {since!r}; sys.argv = ['', {folder!r}]; sys.exit(c.main())"
                return subprocess.run([sys.executable, "-B", "-c", code], cwd=TOOLS, capture_output=True).returncode

            git("init", "-q", "-b", "main")
            git("commit", "-q", "--allow-empty", "-m", "l" * 99)
            self.assertEqual(check("HEAD"), 0)
            git("commit", "-q", "--allow-empty", "-m", "short")
            self.assertEqual(check("HEAD~1"), 0)
            git("commit", "-q", "--allow-empty", "-m", "l" * 99)
            self.assertEqual(check("HEAD~2"), 1)
            self.assertEqual(check("0123456789"), 0, "no such commit: nothing to check")


if __name__ == "__main__":
    unittest.main()
