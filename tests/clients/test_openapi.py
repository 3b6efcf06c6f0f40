"""schemathesis: what the document at /openapi.json promises, against the running server."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# A stream that never ends, and lines of JSON, which schemathesis can't make (tests/e2e imports them).
LEFT_OUT = ("/v1/dashboard/events", "/v1/cache/import")


@pytest.fixture(scope="session")
def document(server):
    return httpx.get(server.url + "/openapi.json").raise_for_status().json()


@pytest.fixture(scope="session")
def schema(server, document):
    loaded = schemathesis.openapi.from_dict(document).exclude(path=list(LEFT_OUT))
    loaded.config.update(base_url=server.url)
    return loaded


def operations(schema):
    return [result.ok() for result in schema.get_all_operations()]


def test_the_server_keeps_the_documents_promises(schema, key, server):
    tried = 0
    for operation in operations(schema):
        strategy = operation.as_strategy()

        @settings(max_examples=25, deadline=None, derandomize=True, database=None,
                  phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=strategy)
        def holds(case):
            nonlocal tried
            tried += 1
            case.headers = {**(case.headers or {}), "authorization": f"Bearer {key['key']}"}
            case.call_and_validate(checks=CHECKS, timeout=60)

        holds()
    assert tried > 100
    assert httpx.get(server.url + "/health").status_code == 200
