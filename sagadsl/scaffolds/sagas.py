"""A new definition: of chosen activities, or of a step that needs none."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from sagadsl.scaffolds.files import template

_WITHOUT = """\
# A step that calls an activity: `sagadsl plugins show NAME` prints one to copy.
- id: greet
  set: {text: "hello {{ input.name }}"}
"""


def saga(name: str, schemas: str, steps: Sequence[str]) -> str:
    """Return a definition called *name*, with these *steps* as YAML.

    Args:
        schemas: The folder of the schemas, as seen from the definition.
    """
    text = textwrap.indent("\n".join(steps) or _WITHOUT.rstrip(), "  ")
    return template("saga.saga.yaml", {"NAME": name, "SCHEMAS": schemas, "STEPS": text})
