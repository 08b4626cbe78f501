"""Registration of learners by a decorator or an installed package, and refusals."""

import sys

import pytest
from small_learners import registrations_undone

import medshot
from medshot.errors import InputError, StorageError
from medshot.learners import LEARNERS, Learner, create, creation, load_learner, register
from medshot.learners.baselines.linear import Logistic
from medshot.learners.registry import BUILT_IN, FACTS, Registry

STRANGER = """
from medshot.learners.baselines.linear import Logistic

class {name}(Logistic):
    name = "{name}".lower()
"""


def renamed(name: str, qualname: str = "Renamed", **attributes) -> type[Learner]:
    """Make logistic regression under another name, with other class attributes."""
    return type(qualname, (Logistic,), {"name": name, "__module__": __name__} | attributes)


@pytest.fixture
def registered():
    """Remove what a test registered."""
    with registrations_undone():
        yield


OWN = {"auto"}
"""What medshot's own package announces by entry points."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that installs a package with these entry points, each for a module with this text."""

    def install(modules: dict[str, str], targets: dict[str, str]) -> None:
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            installed.append(name)
        about = tmp_path / "ward-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ward\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in targets.items()]
        (about / "entry_points.txt").write_text("\n".join(["[medshot.learners]", *lines]))
        monkeypatch.syspath_prepend(tmp_path)

    installed: list[str] = []
    yield install
    for name in installed:
        sys.modules.pop(name, None)


def test_the_built_in_learners_are_registered_by_their_names():
    assert [LEARNERS[learner.name] for learner in BUILT_IN] == list(BUILT_IN)
    assert len({learner.name for learner in BUILT_IN}) == len(BUILT_IN) <= len(LEARNERS)


@pytest.mark.usefixtures("registered")
def test_a_decorated_class_can_be_made_saved_and_loaded(tmp_path):
    mine = medshot.register(renamed("mine"))
    assert type(create("mine")) is mine
    create("mine", views=2).save(tmp_path / "run")
    assert type(load_learner(tmp_path / "run")) is mine


@pytest.mark.usefixtures("registered")
def test_a_class_that_is_defined_again_replaces_itself_and_no_other():
    register(renamed("mine"))
    again = register(renamed("mine"))
    assert LEARNERS["mine"] is again
    for name in ("mine", "metal"):
        with pytest.raises(InputError, match=f"a learner '{name}' already"):
            register(renamed(name, "Another"))
    assert LEARNERS["mine"] is again


@pytest.mark.parametrize("fact", FACTS)
def test_a_learner_without_one_of_the_facts_is_refused_by_what_is_missing(fact):
    with pytest.raises(InputError, match=f"^Learner Renamed lacks {fact}; see docs/your-own-learner.md.$"):
        register(renamed(**({"name": "mine"} | {fact: ""})))


def test_an_unfinished_learner_is_refused_by_all_that_is_missing():
    class Unfinished(Learner):
        name, family, summary = "mine", "baseline", "nothing yet"

    with pytest.raises(InputError, match="lacks paper, cost, adapt_one, predict_one;"):
        Registry().add(Unfinished)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"name": "My learner"}, "named 'My learner'"),
        ({"name": "a,b"}, "named 'a,b'"),
        ({"name": "mine", "gradient": "second-order"}, "gradient 'second-order'"),
    ],
)
def test_names_that_cannot_be_typed_and_unknown_gradients_are_refused(attributes, sentence):
    with pytest.raises(InputError, match=sentence):
        register(renamed(**attributes))
    assert attributes["name"] not in LEARNERS


def test_learners_of_installed_packages_are_found_when_they_are_asked_for(package):
    package({"good": STRANGER.format(name="Good")}, {"good": "good:Good"})
    registry = Registry()
    for learner in BUILT_IN:
        registry.add(learner)
    assert registry["metal"].name == "metal"
    assert "good" not in sys.modules, "a name that was known made it import the packages"
    assert registry["good"].name == "good"
    assert set(registry) == {*(learner.name for learner in BUILT_IN), *OWN, "good"}
    assert not registry.broken


def test_a_broken_package_is_reported_in_one_sentence_and_breaks_nothing_else(package):
    package(
        {"good": STRANGER.format(name="Good"), "bad": "import nothing_of_that_name", "other": "VALUE = 3"},
        {"bad": "bad:Bad", "missing": "good:Missing", "number": "other:VALUE", "good": "good:Good"},
    )
    registry = Registry()
    assert set(registry) == {*OWN, "good"}
    assert [sentence.split(" is left out ")[0] for sentence in registry.broken] == [
        f"The learner '{name}' of package ward" for name in ("bad", "missing", "number")
    ]
    assert "No module named 'nothing_of_that_name'" in registry.broken[0]
    assert all("\n" not in sentence for sentence in registry.broken)


@pytest.mark.usefixtures("registered")
def test_a_module_as_entry_point_registers_its_learners_itself(package):
    text = STRANGER.format(name="Good") + "\nimport medshot\nmedshot.register(Good)\n"
    package({"good": text}, {"all": "good"})
    registry = Registry()
    assert not registry.broken
    assert set(registry) == OWN
    assert LEARNERS["good"].name == "good"


def test_the_error_for_an_unknown_name_lists_packages_that_were_left_out(package, monkeypatch):
    package({"bad": "raise OSError('no\\nlibrary')"}, {"bad": "bad:Bad"})
    registry = Registry()
    for learner in BUILT_IN:
        registry.add(learner)
    monkeypatch.setattr(creation, "LEARNERS", registry)
    with pytest.raises(InputError, match=r"There is no learner 'bad'; choose one of metal, .*\(OSError: no library\)"):
        create("bad")


def test_a_run_of_a_learner_that_is_not_known_says_how_to_make_it_known(tmp_path):
    with registrations_undone():
        register(renamed("mine"))
        create("mine").save(tmp_path / "run")
    with pytest.raises(StorageError, match="holds a 'mine' learner, which is not registered here; import the file"):
        load_learner(tmp_path / "run")
