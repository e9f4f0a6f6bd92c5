import pytest

from pumice.data import load_dataset
from pumice.errors import InputError


def test_arguments_reach_the_dataset(fsdd_folder):
    assert load_dataset("fsdd", fsdd_folder, bands=6).sample_shape == (2, 5, 6)


def test_a_folder_of_the_datasets_name_is_found(fsdd_folder):
    (fsdd_folder / "fsdd").mkdir()
    for name in ("train.npz", "test.npz"):
        (fsdd_folder / name).rename(fsdd_folder / "fsdd" / name)
    assert len(load_dataset("fsdd", fsdd_folder, bands=6).train) == 40


def test_unknown_names():
    with pytest.raises(InputError, match="unknown dataset 'speech'; there are: digits, mnist"):
        load_dataset("speech")
    with pytest.raises(
        InputError, match="dataset 'fsdd' takes no argument band; its arguments are: leave_out, bands"
    ):
        load_dataset("fsdd", None, band=3)
    with pytest.raises(InputError, match="dataset 'digits' takes no argument size; its arguments are: none"):
        load_dataset("digits", size=3)


@pytest.mark.parametrize("argument", ["root", "name"])
def test_arguments_that_are_pumices_own_are_refused(argument):
    with pytest.raises(InputError, match=f"takes no argument {argument}|{argument} is given by pumice"):
        load_dataset("digits", None, **{argument: "x"})
