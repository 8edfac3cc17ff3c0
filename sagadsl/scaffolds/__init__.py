"""What `sagadsl new` and `sagadsl init` write: projects, plugins, sagas and suites to start from."""
