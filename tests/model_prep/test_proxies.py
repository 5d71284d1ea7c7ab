"""Proxies of the environment: this machine is asked without them."""

import os
import subprocess
import sys

import pytest

from model_prep.process_state import spare_loopback

PROXY = "http://127.0.0.1:9"
LOOPBACK = "localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("given", "spared"),
    [
        ({}, None),
        ({"HTTP_PROXY": ""}, None),
        ({"HTTP_PROXY": PROXY}, LOOPBACK),
        ({"all_proxy": "socks5://127.0.0.1:9"}, LOOPBACK),
        ({"https_proxy": PROXY, "no_proxy": "127.0.0.1, a"}, "127.0.0.1,a,localhost,::1"),
        ({"https_proxy": PROXY, "NO_PROXY": "*"}, "*"),
    ],
)
def test_what_is_spared(given: dict[str, str], spared: str | None) -> None:
    environment = dict(given)
    spare_loopback(environment)
    assert [environment.get(name) for name in ("no_proxy", "NO_PROXY")] == [spared, spared]


def test_importing_the_package_spares_this_machine() -> None:
    code = "import model_prep, urllib.request; print(urllib.request.proxy_bypass('127.0.0.1'))"
    environment = {**os.environ, "http_proxy": PROXY}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout.split() in ([b"1"], [b"True"])
