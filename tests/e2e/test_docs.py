"""Every code block of README and docs, run as printed (doc_page.py)."""

import pathlib

import pytest
from doc_page import PAGES, ROOT, Newcomer, blocks, with_library

RUN = ("sh", "python", "toml", "json")
PAGES_WITH_CODE = [page for page in PAGES if any(language in RUN for language, _, _ in blocks(page))]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES_WITH_CODE)
def test_a_pages_code_runs_as_printed(page, binary, model_file, tmp_path):
    more = {}
    if page == "docs/embed.md":
        build = pathlib.Path(binary).resolve().parents[2]
        if not (build / "embed/libpermutation.so").exists():
            pytest.skip("libpermutation isn't built: ./dev build embed")
        more = with_library(build, tmp_path / "prefix")
    with Newcomer(tmp_path, binary, model_file.parents[1], more) as newcomer:
        for language, why_not, text in blocks(page):
            if language == "text output":
                newcomer.check_output(text)
            elif why_not is None and language in RUN:
                newcomer.run(language, text)


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_a_file_are_the_files(page):
    for name, _, text in blocks(page):
        if name.startswith("examples/"):
            assert text in (ROOT / name).read_text(), f"{page} shows other lines than {name} has:\n{text}"


def test_what_is_not_run_says_why():
    left_out = [why for page in PAGES for _, why, _ in blocks(page) if why is not None]
    assert len(left_out) <= 17, left_out
    assert all(why.startswith(("it ", "a ")) for why in left_out), left_out


@pytest.mark.parametrize("page", PAGES)
def test_code_says_what_it_is(page):
    """A block without a language would be left out without a word."""
    assert [text for language, _, text in blocks(page) if not language] == []
