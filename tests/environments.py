"""Fresh virtual environments layered on an existing one: what they install stays in them, what it has is seen.

``python -m tests.environments FOLDER`` makes one on the interpreter that runs it, with the standard library alone.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

HIDING = """
import sys

HIDDEN = {hidden!r}

class Hidden:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{fullname!r}}", name=fullname)

sys.meta_path.insert(0, Hidden)
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    @property
    def site_packages(self) -> Path:
        """Where it installs to."""
        return Path(sysconfig.get_path("purelib", "posix_prefix", vars={"base": str(self.folder)}))

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run Python there without ``PYTHONPATH`` and without a network, whatever the outcome."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment.update(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    def output(self, *arguments: str, cwd: Path) -> str:
        """What Python prints there; a failure carries everything that it said."""
        done = self.run(*arguments, cwd=cwd)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip(self, *arguments: str, cwd: Path) -> None:
        """Install with the pip that is seen there: this package alone, with the tools at hand."""
        self.output("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *arguments, cwd=cwd)


def layered(folder: Path, hidden: Collection[str] = ()) -> Environment:
    """A fresh environment that sees this interpreter's packages, but not what is installed here as editable.

    ``hidden`` top-level modules cannot be imported, as if their distribution were missing.
    """
    # Only paths: folders named in a .pth file are not searched for .pth files, which editable installs are.
    environment = _fresh(folder, *_site_folders(), with_pip=False)
    if hidden:
        source = HIDING.format(hidden=sorted(hidden))
        (environment.site_packages / "hidden_modules.py").write_text(source, encoding="utf-8")
        (environment.site_packages / "hidden_modules.pth").write_text("import hidden_modules\n", encoding="utf-8")
    return environment


def layered_with_editables(folder: Path) -> Environment:
    """A fresh environment with its own pip that sees everything that this interpreter sees, editable installs too."""
    return _fresh(folder, *(f"import site; site.addsitedir({path!r})" for path in _site_folders()), with_pip=True)


def _fresh(folder: Path, *lines: str, with_pip: bool) -> Environment:
    venv.create(folder, clear=True, symlinks=True, with_pip=with_pip)
    environment = Environment(folder)
    (environment.site_packages / "seen_packages.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return environment


def _site_folders() -> list[str]:
    """Folders of installed packages that this interpreter searches."""
    known = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [path for path in known if os.path.isdir(path)]


if __name__ == "__main__":
    print(layered_with_editables(Path(sys.argv[1])).python)
