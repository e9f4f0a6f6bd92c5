from pumice.ir import Cuba, Input


def test_sizes():
    assert Input("input", (3, 4, 2)).size == 24
    assert Cuba("a", (5,), vth_mant=1).size == 5
