"""`python -m sagadsl_inn open 5` makes an inn of five rooms, `python -m sagadsl_inn check` audits it."""

from __future__ import annotations

import sys

from sagadsl_inn import rooms


def main(words: list[str]) -> int:
    """Do what the words say, in the inn of this process."""
    sessions = rooms.sessions_of_this_process()
    match words:
        case ["open", number] if number.isdecimal():
            rooms.open_inn(sessions, int(number))
            print(f"{number} rooms")
            return 0
        case ["check"]:
            found = rooms.problems(sessions)
            with sessions() as session:
                states = list(rooms.states(session).values())
            for problem in found:
                print(f"problem: {problem}")
            counted = ", ".join(f"{states.count(each)} {each}" for each in sorted(set(states))) or "none"
            print(f"{len(found)} problems; keys: {counted}")
            return 1 if found else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
