"""The install, the .deb, the unit and the container files: what can be proved without a container engine.

Environment: PERMUTATION_BUILD, the build folder; PERMUTATION_SOURCE, the checkout."""

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


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@unittest.skipUnless(shutil.which("dpkg-shlibdeps") and shutil.which("cpack"), "needs dpkg-dev")
class Debs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        run("cpack", "-G", "DEB", "-B", cls.folder, cwd=BUILD)
        header = (SOURCE / "embed/include/permutation/permutation.h").read_text()
        cls.runtime = "libpermutation" + re.search(r"#define PERMUTATION_ABI (\d+)", header)[1]
        cls.debs = {deb.name.split("_")[0]: deb for deb in cls.folder.glob("*.deb")}

    def unpacked(self, *packages):
        """The folder in which these lie as they would under /usr."""
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for package in packages:
            run("dpkg-deb", "-x", self.debs[package], root)
        return root / "usr"

    def field(self, package, name):
        return run("dpkg-deb", "-f", self.debs[package], name).strip()

    def test_there_are_a_server_a_library_and_what_programs_are_built_with(self):
        self.assertEqual(set(self.debs), {"permutation", self.runtime, "libpermutation-dev"})
        for package in self.debs:
            self.assertEqual(self.field(package, "Package"), package)

    def test_the_server_unpacks_to_a_program_that_runs(self):
        for library in ("libc6", "libssl3", "liblmdb0", "libstdc++6"):
            self.assertIn(library, self.field("permutation", "Depends"))
        self.assertIn("/etc/permutation/permutation.toml", run("dpkg-deb", "-I", self.debs["permutation"], "conffiles"))
        root = self.unpacked("permutation")
        self.assertIn("permutation", run(root / "bin/permutation", "--version"))
        self.assertIn("smollm2", run(root / "bin/permutation", "models", "list"))
        names = {str(p.relative_to(root.parent)) for p in root.parent.rglob("*") if p.is_file()}
        self.assertIn("lib/systemd/system/permutation.service", {n.removeprefix("usr/") for n in names})
        self.assertFalse([n for n in names if n.endswith((".a", ".h", ".cmake", ".pc", ".so"))], "ggml's own files stay out")

    def test_the_library_holds_what_a_program_needs_to_run(self):
        root = self.unpacked(self.runtime)
        abi = self.runtime.removeprefix("libpermutation")
        names = {p.name for p in root.rglob("*") if not p.is_dir()}
        (real,) = (p for p in root.rglob("*.so.*") if not p.is_symlink())
        self.assertEqual(names, {f"libpermutation.so.{abi}", real.name, "copyright"})
        self.assertRegex(run("objdump", "-p", real), rf"SONAME +libpermutation\.so\.{abi}\n")
        for library in ("libc6", "libssl3", "liblmdb0", "libstdc++6"):
            self.assertIn(library, self.field(self.runtime, "Depends"))
        self.assertIn(f"libpermutation {abi} {self.runtime}", run("dpkg-deb", "-I", self.debs[self.runtime], "shlibs"))
        self.assertIn("ldconfig", run("dpkg-deb", "-I", self.debs[self.runtime], "postinst"))

    def test_programs_are_built_with_the_unpacked_files_alone(self):
        version = self.field(self.runtime, "Version")
        self.assertEqual(self.field("libpermutation-dev", "Depends"), f"{self.runtime} (= {version})")
        root = self.unpacked(self.runtime, "libpermutation-dev")
        examples = root / "share/doc/libpermutation-dev/examples"
        (pc,) = root.rglob("permutation.pc")
        self.assertEqual({p.name for p in root.rglob("*") if p.suffix in (".h", ".hpp")}, {"permutation.h", "permutation.hpp"})
        self.assertTrue((pc.parent.parent / "libpermutation.so").is_symlink())
        search = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent)}
        flags = run("pkg-config", "--cflags", "--libs", "permutation", env=search).split()
        self.assertFalse([flag for flag in flags if flag.startswith(("-I", "-L")) and str(root) not in flag], flags)
        for compiler in ("g++", "clang++-14", "clang++"):
            if not shutil.which(compiler):
                continue
            built = root / compiler
            run("cmake", "-S", examples / "cpp", "-B", built, f"-DCMAKE_CXX_COMPILER={compiler}",
                f"-DCMAKE_PREFIX_PATH={root}", "-DCMAKE_CXX_COMPILER_LAUNCHER=")  # fmt: skip
            run("cmake", "--build", built, "--target", "cached")
            by_hand = root / f"cached-{compiler}"
            run(compiler, "-std=c++17", examples / "cpp/cached.cpp", "-o", by_hand, *flags)
            for number, program in enumerate((built / "cached", by_hand)):
                environment = {"CACHED_FOLDER": str(root / f"{compiler}-{number}"), "LD_LIBRARY_PATH": str(pc.parent.parent)}
                self.assertEqual(run(program, "echo", "dear", env={**os.environ, **environment}), "dear\n")


class Package(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_install_puts_a_program_that_runs_where_it_is_told(self):
        run("cmake", "--install", BUILD, "--prefix", self.folder / "usr", "--component", "permutation",
            env={**os.environ, "DESTDIR": str(self.folder / "root")})  # fmt: skip
        (binary,) = (self.folder / "root").rglob("bin/permutation")
        self.assertIn("permutation", run(binary, "--version"))
        self.assertTrue(list((self.folder / "root").rglob("etc/permutation/permutation.toml")))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_the_unit_is_one_that_systemd_understands(self):
        program = self.folder / "permutation"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        unit = self.folder / "permutation.service"
        unit.write_text((SOURCE / "packaging/permutation.service").read_text().replace("/usr/bin/permutation", str(program)))
        done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
        faults = [line for line in done.stderr.splitlines() if "permutation" in line and "file:" not in line]
        self.assertFalse(faults, done.stderr)

    def test_the_dockerfile_copies_only_what_there_is(self):
        lines = (SOURCE / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
        steps = [line.split() for line in lines if line and not line.startswith("#")]
        known = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
        self.assertTrue({step[0] for step in steps} <= known)
        self.assertIn("USER", {step[0] for step in steps}, "nothing runs as root")
        for step in steps:
            if step[0] == "COPY" and not step[1].startswith("--from"):
                for source in step[1:-1]:
                    self.assertTrue((SOURCE / source).exists(), source)

    def test_what_the_image_writes_is_kept_by_compose_and_the_rest_stays_out_of_the_build(self):
        dockerfile = (SOURCE / "Dockerfile").read_text()
        (volumes,) = re.findall(r"^VOLUME (\[.*\])$", dockerfile, re.M)
        compose = (SOURCE / "compose.yaml").read_text()
        for folder in json.loads(volumes):
            name = folder.rsplit("/", 1)[1]
            self.assertIn(f"- {name}:{folder}\n", compose)
            self.assertRegex(compose, rf"(?m)^  {name}:$")
            self.assertRegex(dockerfile, rf"mkdir .*\b{name}\b")
        ignored = (SOURCE / ".dockerignore").read_text().splitlines()
        self.assertTrue({".git", "**/build", "**/.venv*"} <= set(ignored))

    def test_the_compose_config_lacks_nothing_but_a_key(self):
        config = SOURCE / "packaging/compose.toml"
        binary = BUILD / "src/app/permutation"
        done = subprocess.run([binary, "serve", "--config", config, "--port", "0"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("[[key]]", done.stderr)
        host = re.search(r'^url = "redis://(\w+):6379"$', config.read_text(), re.M)[1]
        self.assertRegex((SOURCE / "compose.yaml").read_text(), rf"(?m)^  {host}:$")

    def test_the_compose_file_is_one_that_compose_understands(self):
        docker = shutil.which("docker")
        if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
            self.skipTest("needs docker compose")
        run(docker, "compose", "-f", SOURCE / "compose.yaml", "config", "-q")


if __name__ == "__main__":
    unittest.main(verbosity=2)
