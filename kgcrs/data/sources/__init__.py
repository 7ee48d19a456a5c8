"""One parser per published data set; each returns a validated `CrsData`."""
