"""The command line of the library: verbs that need no Dagster. Each parses, calls one library function, prints."""
