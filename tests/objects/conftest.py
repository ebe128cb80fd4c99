from tests.buckets import bucket, moto, proxy  # noqa: F401 - fixtures
