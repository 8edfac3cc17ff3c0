from sagadsl.language.suggest import closest, did_you_mean, listed


def test_a_misspelt_name_finds_its_neighbour() -> None:
    """Edit distance: one or two letters wrong."""
    assert closest("chrage", ["refund", "charge"]) == "charge"
    assert did_you_mean("chrage", ["charge"]) == "did you mean `charge`?"


def test_a_word_of_a_longer_name_finds_that_name() -> None:
    """A short name stands for the full one."""
    assert closest("refund", ["payments.charge", "payments.refund"]) == "payments.refund"


def test_nothing_is_suggested_when_nothing_is_close() -> None:
    """A wrong suggestion is worse than none."""
    assert closest("zzz", ["charge", "refund"]) is None
    assert did_you_mean("zzz", ["charge"]) == ""
    assert did_you_mean("charge", ["charge"]) == ""


def test_the_writing_of_a_name_does_not_matter() -> None:
    """Hyphens, underscores and capitals are the usual slips."""
    assert closest("Reserve-Hotel", ["reserve_hotel", "charge"]) == "reserve_hotel"


def test_names_are_listed_in_order_and_cut_off() -> None:
    """A message stays one line however many names there are."""
    assert listed(["b", "a"]) == "`a`, `b`"
    assert listed([]) == "none"
    assert listed("abcd", limit=2) == "`a`, `b` and 2 more"
