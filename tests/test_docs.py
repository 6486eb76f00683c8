"""What the documents show is true: their files check, their verbs exist, their links lead somewhere."""

import re
from pathlib import Path

import pytest

from natnetd import config
from natnetd.cli import VERBS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]+))?\)")
COMMAND = re.compile(r"^(?:sudo )?natnetd ([a-z]+)", re.MULTILINE)
REASON = re.compile(r'comment "(\w+)"')


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_each_file_that_a_document_shows_is_a_good_one(document: Path) -> None:
    for kind, text in BLOCK.findall(document.read_text("utf-8")):
        if kind == "yaml":
            config.parse(text, named(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_each_verb_that_a_document_shows_is_there(document: Path) -> None:
    for _kind, text in BLOCK.findall(document.read_text("utf-8")):
        assert set(COMMAND.findall(text)) <= VERBS.keys()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_each_link_leads_somewhere(document: Path) -> None:
    for path, part in LINK.findall(document.read_text("utf-8")):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{named(document)} links to {path}"
        if part:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert part in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, part


def test_each_document_is_reached_from_the_readme() -> None:
    reached, left = {ROOT / "README.md"}, [ROOT / "README.md"]
    while left:
        document = left.pop()
        found = {(document.parent / path).resolve() for path, _ in LINK.findall(document.read_text("utf-8"))}
        fresh = {path for path in found if path.suffix == ".md"} - reached
        reached |= fresh
        left += fresh
    assert set(DOCUMENTS) <= reached


def test_each_reason_for_a_drop_is_explained() -> None:
    explained = (ROOT / "docs/security.md").read_text("utf-8")
    pages = "".join((ROOT / f"natnetd/{page}.nft").read_text("utf-8") for page in ("table", "guard"))
    for reason in set(REASON.findall(pages)):
        assert f"| {reason} |" in explained
