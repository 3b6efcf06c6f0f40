"""The installed library as programs outside of the tree meet it: by CMake and by pkg-config, with g++ and clang++; its
symbols.

Environment: PERMUTATION_BUILD, the build folder; PERMUTATION_SOURCE, the checkout; PERMUTATION_MODEL, the default model's
GGUF, without which the examples are built but those that ask it don't run."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["PERMUTATION_BUILD"])
SOURCE = pathlib.Path(os.environ["PERMUTATION_SOURCE"])
MODEL = os.environ.get("PERMUTATION_MODEL", "")
QUESTION = "Which number do I dial for support at Zorvane Labs?"
OWN = """
#include <cstdio>
#include <nlohmann/json.hpp>
#include <permutation/permutation.hpp>
extern "C" int llama_backend_init() { return 7; }
extern "C" int ggml_init(int) { return 7; }
int main() {
  auto cache = permutation::Cache::open();
  if (!cache || !cache->store("q", nlohmann::json{{"a", "\\u00fc"}}.dump())) return 1;
  if (llama_backend_init() != 7 || ggml_init(0) != 7) return 2;
  std::printf("own llama.cpp, %s\\n", cache->get("q")->value.str().c_str());
}
"""
STATIC = """
cmake_minimum_required(VERSION 3.16)
project(own LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(Permutation REQUIRED COMPONENTS static)
find_package(nlohmann_json REQUIRED)
add_executable(own own.cpp)
target_link_libraries(own PRIVATE Permutation::static nlohmann_json::nlohmann_json)
"""


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.prefix = cls.folder / "prefix"
        for component in ("libpermutation", "libpermutation-dev"):
            run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", component)
        (cls.library,) = (p for p in cls.prefix.rglob("libpermutation.so") if p.is_symlink())
        cls.config = cls.folder / "small.toml"
        cls.config.write_text(
            f'[embeddings]\nenabled = false\n[knowledge]\npath = "{cls.folder}/knowledge"\n'
            f'[[model]]\nname = "small"\npath = "{MODEL}"\n'
        )
        cls.examples = {}
        for compiler in ("g++", "clang++-14", "clang++"):
            if shutil.which(compiler):
                cls.examples[compiler] = cls.build_by_cmake(compiler)

    @classmethod
    def build_by_cmake(cls, compiler):
        built = cls.folder / compiler
        run("cmake", "-S", SOURCE / "examples/cpp", "-B", built, f"-DCMAKE_CXX_COMPILER={compiler}",
            f"-DCMAKE_PREFIX_PATH={cls.prefix}", "-DCMAKE_CXX_COMPILER_LAUNCHER=")  # fmt: skip
        run("cmake", "--build", built)
        return built

    def build_by_pkg_config(self, compiler, source, package="permutation"):
        path = {**os.environ, "PKG_CONFIG_PATH": str(self.library.parent / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", package, env=path).split()
        program = self.folder / f"{compiler}-{package}-{pathlib.Path(source).stem}"
        run(compiler, SOURCE / source, "-o", program, *flags, f"-Wl,-rpath,{self.library.parent}")
        return program

    def test_a_command_that_costs_runs_once(self):
        for compiler, built in self.examples.items():
            folder = self.folder / f"cached-{compiler}"
            runs = self.folder / f"runs-{compiler}"
            costly = [built / "cached", "sh", "-c", f"echo x >> {runs}; echo \"it's dear\""]
            for _ in range(2):
                self.assertEqual(run(*costly, env={**os.environ, "CACHED_FOLDER": str(folder)}), "it's dear\n")
            self.assertEqual(runs.read_text(), "x\n")

    @unittest.skipUnless(MODEL and shutil.which("pkg-config"), "needs the model and pkg-config")
    def test_c_asks_by_pkg_config(self):
        request = {"model": "small", "stream": True, "temperature": 0, "max_tokens": 8}
        request["messages"] = [{"role": "user", "content": "What is the capital of Peru?"}]
        for compiler in ("gcc", "clang-14", "clang"):
            if not shutil.which(compiler):
                continue
            for package in ("permutation", "permutation-static"):
                ask = self.build_by_pkg_config(compiler, "examples/c/ask.c", package)
                self.assertEqual("libpermutation" in run("ldd", ask), package == "permutation")
                events = [json.loads(line) for line in run(ask, json.dumps(request), self.config).splitlines()]
                text = "".join(c["delta"].get("content", "") for e in events for c in e["choices"])
                self.assertIn("Lima", text)
                refused = subprocess.run([ask, "{", self.config], capture_output=True, text=True, timeout=60)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("JSON", refused.stderr)

    def test_a_program_with_the_same_libraries_in_it_may_hold_all_of_it(self):
        project = self.folder / "static"
        project.mkdir()
        (project / "own.cpp").write_text(OWN)
        (project / "CMakeLists.txt").write_text(STATIC)
        for compiler in self.examples:
            built = project / compiler
            run("cmake", "-S", project, "-B", built, f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_PREFIX_PATH={self.prefix}")
            run("cmake", "--build", built)
            self.assertEqual(run(built / "own"), "own llama.cpp, {\"a\":\"ü\"}\n")
            self.assertNotIn("libpermutation", run("ldd", built / "own"))
        lines = run("nm", "-g", "--defined-only", self.library.with_suffix(".a")).splitlines()
        seen = {line.split()[-1] for line in lines if len(line.split()) == 3}
        self.assertEqual({name for name in seen if not name.startswith("permutation_")}, set())

    @unittest.skipUnless(MODEL, "needs the model")
    def test_facts_are_taught_asked_and_forgotten(self):
        facts = self.folder / "facts.jsonl"
        facts.write_text(json.dumps({"prompt": QUESTION, "answer": "4417"}) + "\n")
        for built in self.examples.values():
            done = subprocess.run([built / "taught", facts, QUESTION, self.config], capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("4417", done.stdout)
            self.assertIn("knowledge", done.stderr)

    @unittest.skipUnless(MODEL, "needs the model")
    def test_a_long_file_takes_an_eighth(self):
        text = self.folder / "report.txt"
        line = "The weather was fair and nothing else was noted on this day. "
        text.write_text(line * 60 + "The pass code of the vault is 7316. " + line * 60)
        built = next(iter(self.examples.values()))
        done = subprocess.run([built / "long_file", text, "What is the pass code of the vault?", self.config],
            capture_output=True, text=True, timeout=240)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(re.search(r"keys and values: (.*)", done.stderr)[1])
        self.assertGreater(figures["ratio_achieved"], 6)

    def test_it_exports_what_was_agreed_and_no_more(self):
        lines = run("nm", "-D", "--defined-only", self.library).splitlines()
        exported = sorted(line.split()[-1] for line in lines)
        listed = re.findall(r"<elf-symbol name='(\w+)'", (SOURCE / "embed/abi.xml").read_text())
        self.assertEqual(exported, sorted(listed))
        header = (SOURCE / "embed/include/permutation/permutation.h").read_text()
        abi = re.search(r"#define PERMUTATION_ABI (\d+)", header)[1]
        self.assertRegex(run("objdump", "-p", self.library), rf"SONAME +libpermutation\.so\.{abi}\n")


if __name__ == "__main__":
    unittest.main()
