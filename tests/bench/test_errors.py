from bench.errors import RequestError


def test_request_error_is_a_value_error() -> None:
    assert issubclass(RequestError, ValueError)
