"""Settings of the published systems: the schema and one TOML file per data set."""
