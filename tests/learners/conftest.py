"""Test learners in the user's own files by the same laws: MEDSHOT_IMPORT=my_learner.py pytest …"""

import os
from pathlib import Path

from medshot.cli.main import import_file

for file in filter(None, os.environ.get("MEDSHOT_IMPORT", "").split(os.pathsep)):
    import_file(Path(file))
