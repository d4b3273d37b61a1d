"""Names of places in buckets."""

from __future__ import annotations

import pytest

from mediafm.errors import ConfigError
from mediafm.s3.place import Place, root_place
from mediafm.s3.settings import S3Settings


@pytest.mark.parametrize("uri", ["s3://films", "s3://films/a", "s3://films/a b/c#?.mp4", "s3://films//a"])
def test_a_place_is_what_its_uri_says(uri: str) -> None:
    assert str(Place.parse(uri)) == uri


@pytest.mark.parametrize("uri", ["s3:/films/a", "s3://", "s3://a/b", "s3://name:password@films/a", "gs://films/a"])
def test_what_names_no_bucket_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket/key"):
        Place.parse(uri)


def test_a_root_is_plain_names_with_or_without_a_closing_stroke() -> None:
    assert root_place("s3://films/root/a/") == root_place("s3://films/root/a") == Place("films", "root/a")
    assert root_place("s3://films").below("store/x") == Place("films", "store/x")
    for odd in ("s3://films/a b", "s3://films/a//b", "s3://films/../b", "s3://films/*"):
        with pytest.raises(ConfigError, match="Name another prefix"):
            root_place(odd)


def test_an_endpoint_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="more than an address") as caught:
        S3Settings(endpoint_url="https://me:hunter2@minio:9000")
    assert "hunter2" not in str(caught.value)
    assert S3Settings(endpoint_url="http://minio:9000/").endpoint_url == "http://minio:9000"
