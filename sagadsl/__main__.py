"""``python -m sagadsl``: the command line, also where no script is on PATH."""

from sagadsl.cli import main

main()
