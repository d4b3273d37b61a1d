"""Buckets: one client, one filesystem, one set of credentials for everything that reads or writes `s3://`."""
