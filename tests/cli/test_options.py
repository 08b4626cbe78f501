"""The parsing of options that hold a name and a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from medshot.cli.options import parse_keep, parse_prevalence
from medshot.errors import InputError

NAME = some.text(min_size=1) | some.text("= a", min_size=1)


@given(some.dictionaries(NAME, some.floats(1e-9, 1e6), min_size=1))
def test_a_class_of_any_name_can_have_a_prevalence(wanted):
    assert parse_prevalence([f"{name}={prevalence!r}" for name, prevalence in wanted.items()]) == wanted


def test_values_to_keep_may_hold_an_equals_sign():
    assert parse_keep(["stage=T=1,T=2"]) == {"stage": ["T=1", "T=2"]}


@pytest.mark.parametrize("pair", ["0.5", "=0.5", "nodule=", "nodule=often"])
def test_text_without_a_class_and_a_number_is_refused(pair):
    with pytest.raises(InputError, match="--prevalence"):
        parse_prevalence([pair])
