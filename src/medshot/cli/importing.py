"""Learners in files of the user's own: `medshot --import my_learner.py COMMAND`."""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path

from medshot.errors import InputError
from medshot.learners.registry import described


def import_file(path: Path) -> None:
    """Run a Python file as a module, so that the learners in it register themselves.

    Raises:
        InputError: it cannot be read, or fails.
    """
    name = str(path.resolve().with_suffix(""))  # a name that no other module has, whatever the file is called
    loader = SourceFileLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = sys.modules[name] = module_from_spec(spec)
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path} could not be imported ({described(error)}); 'python {path}' shows where.") from error
