"""Without Intel's extension, or a host, one line says what is missing."""

import pytest

from pumice.backends import get_backend
from pumice.backends.loihi2 import Loihi2Cfg
from pumice.backends.loihi2.extension import closed, require_host
from pumice.errors import MissingExtensionError
from pumice.hardware.host import HOST_VARIABLES


@pytest.mark.parametrize("start", [lambda: get_backend("loihi2"), Loihi2Cfg])
def test_the_extension_is_named_in_one_line(start):
    with pytest.raises(MissingExtensionError, match=r"lava-loihi.*INRC.*pumice plan") as caught:
        start()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_name_that_the_extension_lacks_is_an_error_of_ours():
    with pytest.raises(MissingExtensionError, match="has no Loihi3 in"):
        closed("lava.magma.core.run_configs", "Loihi3")


def test_a_host_has_to_be_named(monkeypatch):
    for name in HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingExtensionError, match=r"no way to a Loihi 2 .*SLURM=1.*NXSDKHOST"):
        require_host()
    monkeypatch.setenv("NOSLURM", "1")
    assert require_host() == {"NOSLURM": "1"}
