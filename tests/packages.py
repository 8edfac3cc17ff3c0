"""Packages that look installed: their metadata, their entry points for activities, and the text of their module."""

from __future__ import annotations

from pathlib import Path


def install(
    site: Path, name: str, points: str, source: str | None = None, *, module: str = "", version: str = "1.0"
) -> None:
    """Put a package into the folder *site* of Python's path.

    Args:
        points: Lines of the group of activities, ``acme.pay = acme_pay:pay``.
        source: Text of its module, which is called like the package unless *module* says otherwise.
    """
    own = name.replace("-", "_")
    info = site / f"{own}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[sagadsl.activities]\n{points}\n", encoding="utf-8")
    if source is not None:
        (site / f"{module or own}.py").write_text(source, encoding="utf-8")
