"""The page that leads through the code: every place that it names is there, and so is what it says to look for."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"(?<![\w/.])[\w.]+(?:/[\w.]+)*(?:\.(?:py|yaml|md)\b|/(?=\s|`))", PAGE)))
# What a newcomer wants to change: what stands in the file that the page leads to.
SOUGHT = {
    ("time-to-collision", "navsim_agents/scoring/config.py"): r"ttc_offsets: .*# steps of look-ahead",
    ("number of pseudo-teachers", "navsim_agents/drive_jepa/proposal_config.py"): r"number: int = field\(default=\d+",
    ("colour of a plan", "training/report/style.py"): r"KNOWN_AGENTS = ",
    ("which car covers which", "navsim_agents/world/camera/painter.py"): r"def painting_order\(",
}


def test_page_names_many_places() -> None:
    assert len(PLACES) > 50
    assert {"data/logs.py", "scoring/rules/", "navsim_agents/scoring/rules/", "api.md"} <= set(PLACES)


@pytest.mark.parametrize("place", PLACES)
def test_place_is_there(place: str) -> None:
    homes = ("", "navsim_agents", "docs", "navsim_agents/drive_jepa")  # the last for a path that the drawing breaks
    assert any((ROOT / home / place).exists() for home in homes)


@pytest.mark.parametrize(("wish", "file"), SOUGHT)
def test_table_leads_to_the_place(wish: str, file: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and wish in line.split("|")[1]]
    assert file in row
    assert re.search(SOUGHT[wish, file], (ROOT / file).read_text(encoding="utf-8"))
