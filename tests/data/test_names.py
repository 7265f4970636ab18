"""Names are text, whatever they look like and wherever they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from cache_tools.validate_submission import read_tokens
from navsim_agents.common.errors import SettingError
from navsim_agents.common.settings import read_settings
from navsim_agents.data.names import is_text, quote_hint, read_names
from navsim_agents.data.scene_filter import read_scene_filter
from navsim_agents.devkit.splits import FILTER_FOLDER, SPLIT_FOLDER, find_split
from navsim_agents.errors import InputError, VideoError
from navsim_agents.video.guard import read_forbidden_logs
from tests.data.awkward import AWKWARD
from training.report.results import read_scenes

STYLES: dict[str, Callable[[str, tuple[str, ...]], str]] = {
    "block": lambda key, names: f"{key}:\n" + "".join(f"  - {name}\n" for name in names),
    "unindented": lambda key, names: f"{key}:\n" + "".join(f"- {name}\n" for name in names),
    "flow": lambda key, names: f"{key}: [{', '.join(names)}]\n",
    "quoted": lambda key, names: f"{key}:\n" + "".join(f"  - '{name}'\n" for name in names),
    "double": lambda key, names: f"{key}: [" + ", ".join(f'"{name}"' for name in names) + "]\n",
}
READS_AS_TEXT = {"0o17", "inf", "nan", "NA", "2021-10-05"}


def from_validator(path: Path) -> Any:
    return read_tokens(path).first_stage


def from_guard(path: Path) -> Any:
    path.write_text(path.read_text().replace("tokens:", "log_names:"))
    return read_forbidden_logs(path)


def from_filter(path: Path) -> Any:
    return read_scene_filter(path).tokens


def from_split(path: Path) -> Any:
    """As ``build_vocabulary source=devkit`` reads it: the filter's file below a devkit's package."""
    return frozenset(devkit_with(path.parent / "navsim", path.read_text(), "").scene_filter().tokens)


def from_split_override(path: Path) -> Any:
    text = "scene_filter:\n" + "".join(f"  {line}\n" for line in path.read_text().splitlines())
    return frozenset(devkit_with(path.parent / "navsim", "tokens: [other]\n", text).scene_filter().tokens)


def devkit_with(location: Path, filter_text: str, split_text: str) -> Any:
    (location / FILTER_FOLDER).mkdir(parents=True)
    (location / FILTER_FOLDER / "mine.yaml").write_text(filter_text)
    split = f"defaults:\n  - scene_filter: mine\ndata_split: trainval\n{split_text}"
    (location / SPLIT_FOLDER / "mine.yaml").write_text(split)
    return find_split(location, "mine")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("reader", [from_validator, from_guard, from_filter, from_split, from_split_override])
def test_every_reader_of_yaml_keeps_the_text(tmp_path: Path, reader: Callable[[Path], Any], style: str) -> None:
    is_quoted = style in ("quoted", "double")
    names = tuple(name for name in AWKWARD if name != "=" or is_quoted)  # OmegaConf refuses a bare =
    path = tmp_path / "names.yaml"
    path.write_text("frame_interval: 1\n" + STYLES[style]("tokens", names))
    assert reader(path) == frozenset(names)


@pytest.mark.parametrize("reader", [from_validator, read_forbidden_logs])
def test_every_reader_of_text_and_bare_lists_keeps_it(tmp_path: Path, reader: Callable[[Path], Any]) -> None:
    for file, text in (
        ("a.txt", "# a note\n" + "\n".join(AWKWARD)),
        ("b.txt", "".join(f"- {name}\n" for name in AWKWARD)),
        ("c.yaml", "".join(f"- {name}\n" for name in AWKWARD)),
    ):
        (tmp_path / file).write_text(text, encoding="utf-8-sig")
        assert reader(tmp_path / file) == frozenset(AWKWARD), file


def test_tables_keep_it(tmp_path: Path) -> None:
    """One at a time too: a column of nothing but numbers is what pandas turns."""
    for names in (AWKWARD, *((name,) for name in AWKWARD)):
        table = pd.DataFrame({"token": names, "log_name": names, "ade_m": [0.5] * len(names), "valid": True})
        table.loc[0, "ade_m"] = float("nan")
        table.to_csv(tmp_path / "agent.csv", index=False)
        read = read_scenes(tmp_path / "agent.csv")
        assert (tuple(read["token"]), tuple(read["log_name"])) == (names, names)
        assert read["ade_m"].dtype == float
        assert read["ade_m"].isna().sum() == 1
        assert read["valid"].dtype == bool


def test_names_that_navsim_itself_misreads_are_told(tmp_path: Path) -> None:
    path = tmp_path / "filter.yaml"
    path.write_text(STYLES["block"]("tokens", AWKWARD) + STYLES["quoted"]("log_names", AWKWARD))
    names = read_names(path)
    assert set(names["tokens"].misread) == set(AWKWARD) - READS_AS_TEXT
    assert names["log_names"].misread == ()
    assert {name for name in AWKWARD if is_text(name)} == READS_AS_TEXT
    hint = quote_hint("x.yaml", names["tokens"].misread)
    assert "x.yaml has 20 names without quotes" in hint
    assert "(0123456701234567, 12345678901234e5, 1234567890123456, …)" in hint
    assert hint.endswith("write them in quotes")
    assert quote_hint("x.yaml", ()) == ""
    assert read_tokens(path).note == quote_hint(str(path), names["tokens"].misread)


def test_lists_are_found_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "split.yaml"
    path.write_text("a: [x, y]\nb:\n  c: [z, ]\n  d: 3\ne: [[p, q], [r]]\nf: null\ng: &g [u]\nh: *g\n")
    found = {key: names.names for key, names in read_names(path).items()}
    assert found == {"a": ("x", "y"), "b.c": ("z",), "g": ("u",), "h": ("u",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is not a file that can be read"), (b"a: [b", "neither YAML nor text"), (b"\xff\xfe\x00", "neither YAML")],
)
def test_files_that_hold_no_names(tmp_path: Path, content: Optional[bytes], message: str) -> None:
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as failure:
        read_names(path)
    assert "\n" not in str(failure.value)
    with pytest.raises(VideoError, match=message):
        read_forbidden_logs(path)


@dataclass(frozen=True)
class Inner:
    logs: Optional[list[str]] = None


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    tokens: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("key", ["tokens", "inner.logs"])
def test_an_override_arrives_as_it_was_written_or_is_refused(key: str, name: str) -> None:
    """OmegaConf would make "1.2345678901234e+18" of a float, and nobody would know."""
    if name in ("~", "="):
        return  # Hydra's grammar refuses them without quotes
    parsed = OverridesParser.create().parse_override(f"{key}=[{name}]").value()
    composed = OmegaConf.create({"sizes": [3]})
    OmegaConf.update(composed, key, parsed)
    if isinstance(parsed[0], str):
        assert OmegaConf.select(OmegaConf.structured(read_settings(Outer, composed)), key) == [name]
        return
    with pytest.raises(SettingError, match=rf"{key} holds .*but names are text.*quote it: '{key}=\[\"…\"\]'"):
        read_settings(Outer, composed)


def test_quoted_overrides_are_taken() -> None:
    parsed = OverridesParser.create().parse_override('tokens=["12345678901234e5"]').value()
    assert read_settings(Outer, OmegaConf.create({"tokens": parsed})).tokens == ["12345678901234e5"]
