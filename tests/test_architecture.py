"""The floors of the library: imports only go down, forbidden calls are nowhere, and modules have a fair size."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medshot

SOURCE = Path(medshot.__file__).parent
FLOORS = [
    {"__main__"},
    {"cli"},
    {"reporting"},
    {"evaluation"},
    {"selection"},
    {"learners"},
    {"audit"},
    {"deidentify", "simulated", "training"},
    {"tasks"},
    {"encoders"},
    {"networks"},
    {"threads"},
    {"imaging"},
    {"append_store", "unfinished"},
    {"storage", "process", "progress"},
    {"environment", "errors"},
]
SHORTEST, LONGEST = 30, 300  # lines of a module
HEIGHT = {name: len(FLOORS) - number for number, floor in enumerate(FLOORS) for name in floor}
MODULES = {
    ".".join(["medshot", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def imported(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found


INSIDE = {name: imported(path) & set(MODULES) for name, path in MODULES.items()}


def floor(module: str) -> str:
    return module.split(".")[1]


def test_the_floors_are_exactly_what_there_is():
    assert {floor(name) for name in MODULES if "." in name} == set(HEIGHT)
    assert INSIDE["medshot.tasks.sampler"] >= {"medshot.errors", "medshot.tasks.task"}


@pytest.mark.parametrize("module", [name for name in MODULES if name != "medshot"])
def test_imports_go_down(module):
    for other in INSIDE[module] - {"medshot"}:
        assert floor(other) == floor(module) or HEIGHT[floor(other)] < HEIGHT[floor(module)], (
            f"{module} imports {other}, which is not below it"
        )


def test_there_are_no_cycles():
    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " imports ".join((*above[above.index(module) :], module))
        if module not in done:
            for other in INSIDE[module] - {"medshot"}:
                visit(other, (*above, module))
            done.add(module)

    done: set[str] = set()
    for module in MODULES:
        if module != "medshot":
            visit(module, ())


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_nothing_forbidden_is_used(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not {name.split(".")[0] for name in imported(path)} & {
        "torchvision",
        "pickle",
        "dill",
        "shelve",
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in ("torch.save", "eval", "exec", "pickle.load", "np.save"), name
            if name == "torch.load":  # the weights inside an encoder's package, after their hash was checked
                assert path == MODULES["medshot.encoders.lite0"]
                assert {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}["weights_only"] == "True"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle":
                    assert ast.unparse(keyword.value) == "False"
            if name == "np.load":
                assert "allow_pickle" in {keyword.arg for keyword in node.keywords}


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_modules_hold_one_idea(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, "split it by its ideas"
    assert lines >= SHORTEST or path.name in ("__init__.py", "__main__.py"), "merge it with the module that uses it"


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_core_runs_without_torchvision_and_what_may_need_it():
    modules = "medshot.cli.loading, medshot.cli.demonstration"
    names = ("torchvision", "timm", "transformers", "open_clip", "torch")
    code = f"import sys, {modules}; print(*(name in sys.modules for name in {names}))"
    assert run_python(code).split() == ["False"] * 4 + ["True"]
