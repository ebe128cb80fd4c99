"""Variables of the AWS tools and of GDAL mean the same server."""

from __future__ import annotations

import pytest

from geoseg.endpoint import Endpoint, endpoint_of, gdal_endpoint


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:7480"},
            {"AWS_S3_ENDPOINT": "127.0.0.1:7480", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"},
        ),
        (
            {"AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_S3": "https://s3.example.org/"},
            {"AWS_S3_ENDPOINT": "s3.example.org", "AWS_HTTPS": "YES", "AWS_VIRTUAL_HOSTING": "FALSE"},
        ),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, {}),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_S3_ENDPOINT": "b"}, {}),
        (
            {"AWS_ENDPOINT_URL": "http://a", "AWS_VIRTUAL_HOSTING": "TRUE"},
            {"AWS_S3_ENDPOINT": "a", "AWS_HTTPS": "NO"},
        ),
    ],
)  # fmt: skip
def test_gdal_asks_the_server_of_the_aws_tools(
    environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert gdal_endpoint(environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Endpoint()),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_S3_ENDPOINT": "b"}, Endpoint()),
        (
            {"AWS_S3_ENDPOINT": "127.0.0.1:7480", "AWS_HTTPS": "no", "AWS_VIRTUAL_HOSTING": "off"},
            Endpoint(url="http://127.0.0.1:7480", is_virtual_hosted=False),
        ),
        (
            {"AWS_S3_ENDPOINT": "s3.example.org"},
            Endpoint(url="https://s3.example.org", is_virtual_hosted=True),
        ),
        ({"AWS_S3_ENDPOINT": "http://b"}, Endpoint(url="http://b", is_virtual_hosted=True)),
        ({"AWS_NO_SIGN_REQUEST": "YES"}, Endpoint(is_signed=False)),
        ({"AWS_REGION": "eu-north-1"}, Endpoint(region="eu-north-1")),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "us-west-2"}, Endpoint()),
    ],
)  # fmt: skip
def test_boto3_asks_the_server_of_gdal(environ: dict[str, str], expected: Endpoint) -> None:
    assert endpoint_of(environ) == expected
