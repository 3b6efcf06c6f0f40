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


class Package(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_install_puts_a_program_that_runs_where_it_is_told(self):
        run("cmake", "--install", BUILD, "--prefix", self.folder / "usr", "--component", "permutation",
            env={**os.environ, "DESTDIR": str(self.folder / "root")})  # fmt: skip
        (binary,) = (self.folder / "root").rglob("bin/permutation")
        self.assertIn("permutation", run(binary, "--version"))
        self.assertTrue(list((self.folder / "root").rglob("etc/permutation/permutation.toml")))

    @unittest.skipUnless(shutil.which("dpkg-shlibdeps") and shutil.which("cpack"), "needs dpkg-dev")
    def test_the_deb_unpacks_to_a_program_that_runs(self):
        run("cpack", "-G", "DEB", "-B", self.folder, cwd=BUILD)
        (deb,) = self.folder.glob("*.deb")
        fields = run("dpkg-deb", "-f", deb)
        self.assertRegex(fields, r"Package: permutation\n")
        for library in ("libc6", "libssl3", "liblmdb0", "libstdc++6"):
            self.assertIn(library, re.search(r"Depends: (.*)", fields)[1])
        self.assertIn("/etc/permutation/permutation.toml", run("dpkg-deb", "-I", deb, "conffiles"))
        run("dpkg", "-x", deb, self.folder / "unpacked")
        binary = self.folder / "unpacked/usr/bin/permutation"
        self.assertIn("permutation", run(binary, "--version"))
        self.assertIn("smollm2", run(binary, "models", "list"))
        names = {str(p.relative_to(self.folder / "unpacked")) for p in (self.folder / "unpacked").rglob("*") if p.is_file()}
        self.assertIn("lib/systemd/system/permutation.service", {n.removeprefix("usr/") for n in names})
        self.assertFalse([n for n in names if n.endswith((".a", ".h", ".cmake", ".pc"))], "ggml's own files stay out")

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
