"""The compiler's table is found in what it printed; a profile survives its file, and damaged ones are refused."""

import json

import pytest

from pumice.errors import InputError
from pumice.hardware.profile import CoreRow, Profile, load_profile, parse_core_table

PRINTED = """
INFO: 3 tries
| AxonIn |NeuronGr| Neurons|Synapses| AxonMap| AxonMem|  Total |  Cores |
|   4.90%|  12.50%|  99.00%| 178.40%|   0.31%|   0.00%|  67.14%|       1|
Violations, splitting
| AxonIn |NeuronGr| Neurons|Synapses| AxonMap| AxonMem|  Total |  Cores |
|-----------------------------------------------------------------------|
|   0.40%|  12.50%|   0.24%|   1.60%|   0.06%|   0.00%|   1.68%|       1|
|-----------------------------------------------------------------------|
|   4.90%|  12.50%|   1.22%|  78.40%|   0.31%|   0.00%|  67.14%|       3|
| Total                                                        |       4|
"""


def test_the_last_table_counts():
    found = parse_core_table(PRINTED)
    assert [row.cores for row in found] == [1, 3]
    assert found[1].values == (4.9, 12.5, 1.22, 78.4, 0.31, 0.0, 67.14)


def test_a_table_in_words_says_so():
    assert parse_core_table("| 200|1|100|370|400|0|1,071|2|") == (
        CoreRow((200, 1, 100, 370, 400, 0, 1071), cores=2, unit="words"),
    )


@pytest.mark.parametrize(
    "text", ["", "| 1%|2%|3%|", "|1%|2|3%|4%|5%|6%|7%|8|", "|1%|2%|3%|4%|5%|6%|7%|8%|", "| a |" * 8]
)
def test_other_lines_are_no_rows(text):
    assert parse_core_table(text) == ()


def test_a_profile_comes_back_as_it_was(tmp_path):
    made = Profile(
        "net", 9, {"SLURM": "1"}, {"LIF 'a'": "m.Nc"}, ("Read()",), parse_core_table(PRINTED), PRINTED,
        {"total_power": 0.5}, {"power": {"total_power": [0.5]}},
    )  # fmt: skip
    path = tmp_path / "p.json"
    path.write_text(made.to_json())
    assert load_profile(path) == made
    assert made.cores == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -1}, "steps a whole number"),
        ({"network": 3}, "network must be text"),
        ({"more": 1}, "unknown key 'more'"),
        ({"host": []}, "host must be an object"),
        ({"measured": {"total_power": "much"}}, "finite numbers"),
        ({"measured": {"total_power": 10**400}}, "finite numbers, 0 or 1e-30 to 1e.15"),
        ({"measured": {"total_power": 1e-320}}, "finite numbers, 0 or 1e-30 to 1e.15"),
        ({"core_table": [{"values": [1e308] * 7, "cores": 1, "unit": "words"}]}, "rows of 7 values"),
        ({"core_table": [{"values": [1] * 7, "cores": 10**400, "unit": "words"}]}, "rows of 7 values"),
        ({"core_table": [{"values": [1], "cores": 1, "unit": "%"}]}, "rows of 7 values"),
        ({"adapters": 1}, "adapters must be a list"),
    ],
)
def test_a_damaged_one_is_refused(change, words, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(json.loads(Profile("net", 9).to_json()) | change))
    with pytest.raises(InputError, match=words):
        load_profile(path)


def test_what_is_no_json_object_is_refused(tmp_path):
    path = tmp_path / "p.json"
    for text in ("[]", "{", ""):
        path.write_text(text)
        with pytest.raises(InputError, match=r"p\.json"):
            load_profile(path)
