"""What all tests have in common, here and in the examples."""

pytest_plugins = ["tests.needs"]
