# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.activities.evaluate import Row, compile_term, moving
from kp_pose_ros.activities.language import CONDITION, NUMBER, Scope, parse, terms_of
from kp_pose_ros.errors import SettingsError

ZONES = {"corner": ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))}
TORSO = parse("distance(neck, hip)", Scope())
SCOPE = Scope(({"torso": TORSO}, {}), ZONES)

# An upright person with a torso of 100 pixels; the wrist moves to the right, 50 pixels a second.
PEOPLE = (
    {"neck": (300.0, 100.0), "hip": (300.0, 200.0), "wrist": (330.0, 60.0), "toe": (20.0, 10.0)},
)
PEOPLE_3D = ({"neck": (0.0, 0.0, 2.0), "hip": (0.0, 0.5, 2.0), "wrist": (0.3, 0.0, 2.4)},)


def value(text, scope=SCOPE, people=PEOPLE):
    term = parse(text, scope)
    keys = {moving(each): each for each in terms_of(term) if moving(each)}
    earlier = {key: (30.0, 0.0, 2.0)[: 3 if key.endswith("3d") else 2] for key in keys}
    earlier = {
        key: (320.0, 60.0) if "wrist" in key and "3d" not in key else each
        for key, each in earlier.items()
    }
    past = [(800, earlier), (0, {})]
    return compile_term(term)(Row(1000, (640.0, 480.0), people, PEOPLE_3D, past))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("distance(neck, hip) / torso", 1.0, id="a length in torso lengths"),
        pytest.param("(wrist.y - neck.y) / torso", -0.4, id="coordinates, y down"),
        pytest.param("distance_m(neck, wrist)", 0.5, id="metres, from the 3D keypoints"),
        pytest.param("tilt(hip, neck)", 0.0, id="upright"),
        pytest.param("tilt(neck, hip)", 180.0, id="upside down"),
        pytest.param("angle(neck, hip, wrist)", 12.094757, id="an angle at the middle point"),
        pytest.param("velocity(wrist).x / torso", 0.5, id="a velocity over a fifth of a second"),
        pytest.param("speed(wrist) / torso", 0.5, id="a speed"),
        pytest.param("middle(neck, hip).y / torso", 1.5, id="a middle"),
        pytest.param("first_known(ear, neck).y / torso", 1.0, id="the first known point"),
        pytest.param("-abs(-2) * 3 + 1", -5.0, id="arithmetic"),
        pytest.param("torso / (torso - torso)", None, id="unknown after a division by zero"),
        pytest.param("distance(neck, ear) / torso", None, id="unknown with an unseen keypoint"),
        pytest.param("speed(ear) / torso", None, id="an unknown speed"),
        pytest.param("inside(toe, corner)", True, id="inside of a zone"),
        pytest.param("inside(wrist, corner)", False, id="outside of a zone"),
        pytest.param("inside(ear, corner)", None, id="a zone and an unseen keypoint"),
        pytest.param("wrist.y < neck.y < hip.y", True, id="a chain of comparisons"),
        pytest.param("wrist.y > 0", True, id="zero has any unit"),
        pytest.param("ear.y < 0 and hip.y < 0", False, id="unknown and false"),
        pytest.param("ear.y < 0 and hip.y > 0", None, id="unknown and true"),
        pytest.param("ear.y < 0 or hip.y > 0", True, id="unknown or true"),
        pytest.param("not ear.y < 0", None, id="not unknown"),
    ],
)
def test_an_expression_has_this_value(text, expected):
    assert value(text) == (expected if expected in (None, True, False) else pytest.approx(expected))


def test_a_pair_names_its_people():
    people = ({"hip": (0.0, 0.0)}, {"hip": (30.0, 40.0)})
    assert value("a.hip.x < b.hip.x", Scope(is_pair=True), people) is True


@pytest.mark.parametrize(
    ("text", "phrases"),
    # Any one of the phrases, since versions of Python differ in what they say first.
    [
        pytest.param("wrist.y <", ["not an expression", "character"], id="cut off"),
        pytest.param(
            "__import__('os')", ["'__import__('os')' at character 1"], id="another function"
        ),
        pytest.param(
            "neck.z > 0", ["'neck.z' at character 1", ".x or .y"], id="no such coordinate"
        ),
        pytest.param(
            "distance(neck, hip) < 50",
            ["pixels compared with a number", "0.3 * torso"],
            id="pixels and a bare number",
        ),
        pytest.param(
            "speed(hip) < torso",
            ["pixels a second compared with pixels"],
            id="a speed and a length",
        ),
        pytest.param(
            "1 < 2 and torso",
            ["'torso' at character 11", "expected a condition"],
            id="no condition",
        ),
        pytest.param("torso * torso < 1", ["a unit that is not supported"], id="an area"),
        pytest.param("distance(neck) < torso", ["takes 2 points, found 1"], id="too few points"),
        pytest.param(
            "distance(neck, 3) < torso",
            ["'3' at character 16", "a point"],
            id="a number for a point",
        ),
        pytest.param("tilt(p=neck, q=hip) < 1", ["without keywords"], id="keywords"),
        pytest.param("inside(neck, garden)", ["'garden'", "corner"], id="no such zone"),
        pytest.param("neck.x == hip.x", ["expected <, <=, > or >="], id="equality"),
        pytest.param("neck.x ** 2 < 1", ["expected + - * /"], id="a power"),
        pytest.param("[1][0] < 2", ["'[1][0]'", "expected keypoints"], id="a list"),
        pytest.param("(lambda: 1)() < 2", ["expected one of the functions"], id="a lambda"),
        pytest.param("'nose' < 2", ["expected a number"], id="a text"),
        pytest.param("True", ["expected a number"], id="a bool"),
        pytest.param("1e400 < 2", ["expected a number below"], id="infinity"),
        pytest.param("(" * 900 + "1" + ")" * 900, ["character", "deep"], id="nesting"),
        pytest.param("-" * 1990 + "1", ["deep", "character"], id="signs"),
        pytest.param("1+" * 2000 + "1", ["at most 2000 characters"], id="length"),
        pytest.param("a\0b", ["NUL", "null", "character"], id="a NUL"),
        pytest.param("", ["expected an expression"], id="nothing"),
        pytest.param(7, ["expected an expression, found 7"], id="not a text"),
    ],
)
def test_what_the_language_does_not_have_is_refused_with_its_place(text, phrases):
    with pytest.raises(SettingsError) as caught:
        parse(text, SCOPE)
    assert any(phrase in str(caught.value) for phrase in phrases), str(caught.value)


def test_definitions_that_grow_without_end_are_refused():
    definitions = {"d0": parse("neck.x", Scope())}
    for number in range(9):
        doubled = parse(f"d{number} + d{number}", Scope((definitions, {})))
        definitions[f"d{number + 1}"] = doubled
    with pytest.raises(SettingsError, match="more than 2000 terms"):
        parse("d9 + d9", Scope((definitions, {})))


def test_units_are_known():
    assert parse("speed(neck) / torso", SCOPE).unit == NUMBER
    assert parse("tilt(hip, neck) < 50", SCOPE).unit == CONDITION
