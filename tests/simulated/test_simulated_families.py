"""Numbers and families that cannot be simulated are refused."""

import pytest

from medshot.errors import InputError
from medshot.simulated import simulate


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"patients": 0}, {"size": 15}, {"difficulty": -0.1}, {"difficulty": float("nan")}]
)
def test_a_number_out_of_range_is_refused_by_name(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name}={value}"):
        simulate("chest", **({"seed": 0} | wrong))


def test_a_family_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="'knee' is not a simulated family; choose one of chest"):
        simulate("knee", seed=0)
