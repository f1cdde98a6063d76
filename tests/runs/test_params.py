"""Dotted names of parameters."""

from runs.params import flatten, nested


def test_dotted_names_are_groups_and_back() -> None:
    values = {"lr": 0.1, "model": {"width": 64, "neck": {"use": True}}, "none": None}
    flat = flatten(values)
    assert flat == {"lr": 0.1, "model.width": 64, "model.neck.use": True, "none": None}
    assert nested(flat) == values


def test_groups_declared_as_a_whole_join_those_declared_by_name() -> None:
    assert nested({"model": {"width": 64}, "model.height": 128}) == {
        "model": {"width": 64, "height": 128}
    }
