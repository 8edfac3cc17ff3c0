"""`python -m sagadsl_ferry migrate`: what `manage.py` is in other projects; and `open VOYAGE PLACES`, `check`."""

from __future__ import annotations

import os
import sys


def main(words: list[str]) -> int:
    """Do what the words say, in the database that `SAGADSL_FERRY_FILE` names."""
    match words:
        case ["open", voyage, places] if places.isdecimal():
            from sagadsl_ferry import tickets  # noqa: PLC0415 # it wants the tables that `migrate` makes

            tickets.open_voyage(voyage, int(places))
            print(f"{voyage}: {places} places")
        case ["check"]:
            from sagadsl_ferry import tickets  # noqa: PLC0415

            found, states = tickets.problems(), list(tickets.states().values())
            for problem in found:
                print(f"problem: {problem}")
            counted = ", ".join(f"{states.count(each)} {each}" for each in sorted(set(states))) or "none"
            print(f"{len(found)} problems; keys: {counted}")
            return 1 if found else 0
        case _:
            from django.core.management import execute_from_command_line  # noqa: PLC0415

            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagadsl_ferry.settings")
            execute_from_command_line(["python -m sagadsl_ferry", *words])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
