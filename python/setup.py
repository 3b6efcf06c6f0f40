"""Puts the library and its header into the wheel: ./dev build embed makes them; PERMUTATION_LIBRARY names another one."""

import os
import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

ROOT = pathlib.Path(__file__).resolve().parent.parent


class WithLibrary(build_py):
    def run(self):
        super().run()
        library = pathlib.Path(os.environ.get("PERMUTATION_LIBRARY", ROOT / "build/release/embed/libpermutation.so"))
        if not library.exists():
            raise SystemExit(f"There is no {library}: run `./dev build embed` first, or name it in PERMUTATION_LIBRARY.")
        package = pathlib.Path(self.build_lib) / "permutation"
        shutil.copyfile(library, package / "libpermutation.so")
        shutil.copyfile(ROOT / "embed/include/permutation/permutation.h", package / "permutation.h")


class OfThisPlatform(bdist_wheel):
    """Any Python 3, this machine's kind alone."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(cmdclass={"build_py": WithLibrary, "bdist_wheel": OfThisPlatform})
