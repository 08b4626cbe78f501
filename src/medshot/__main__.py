"""`python -m medshot` is the command `medshot`."""

from medshot.cli import main

main()
