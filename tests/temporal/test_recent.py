"""What is kept because somebody has used it lately."""

from __future__ import annotations

from sagadsl.temporal.read.recent import Recent


def test_what_nobody_has_used_for_longest_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.keep("a", 0, 4)
    recent.keep("b", 1, 4)
    recent.get("a")
    recent.keep("c", 2, 4)

    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (0, None, 2, 2)


def test_what_is_kept_again_takes_its_place_once_and_what_is_too_large_is_not_kept() -> None:
    recent: Recent[str, str] = Recent(10)
    for text in ("first", "second"):
        recent.keep("a", text, 6)
    recent.keep("large", "x", 11)
    recent.keep("b", "beside", 4)

    assert [recent.get(key) for key in ("a", "large", "b")] == ["second", None, "beside"]
    recent.keep("a", "too large now", 11)
    assert recent.get("a") is None
