"""The definition language: what is refused, what references give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.sagemaker import ApiError
from emulator.sagemaker.definition import Definition
from emulator.sagemaker.reader import read_definition
from emulator.sagemaker.references import Resolver, Unresolved, walk
from emulator.sagemaker.service_shapes import text_of


def fail(name: str, message: Any = "no", **extra: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **extra}


def parse(*steps: dict[str, Any], parameters: Any = (), version: str = "2020-12-01") -> Definition:
    return read_definition(
        json.dumps({"Version": version, "Parameters": list(parameters), "Steps": list(steps)})
    )


def refusal(*steps: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ApiError) as caught:
        parse(*steps, **more)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def condition(*conditions: dict[str, Any], name: str = "Gate", yes: Any = (), no: Any = ()) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": list(conditions), "IfSteps": list(yes), "ElseSteps": list(no)},
    }


@pytest.mark.parametrize(
    ("said", "steps", "more"),
    [
        ("Version must be 2020-12-01, got '1'", [fail("A")], {"version": "1"}),
        ("at least one step", [], {}),
        ("used twice", [fail("A"), fail("A")], {}),
        ("'a b' must match", [fail("a b")], {}),
        ("unknown type 'Fial', did you mean Fail?", [{**fail("A"), "Type": "Fial"}], {}),
        (
            "step 'Trian', which does not exist, did you mean Train?",
            [fail("Train"), fail("B", DependsOn=["Trian"])],
            {},
        ),
        ("depends on itself", [fail("A", DependsOn=["A"])], {}),
        ("in a circle: A -> B -> A", [fail("A", DependsOn=["B"]), fail("B", {"Get": "Steps.A.X"})], {}),
        (
            "parameter 'Limt'",
            [fail("A", {"Get": "Parameters.Limt"})],
            {"parameters": [{"Name": "Limit", "Type": "Float"}]},
        ),
        (
            "did you mean Limit?",
            [fail("A", {"Get": "Parameters.Limt"})],
            {"parameters": [{"Name": "Limit", "Type": "Float"}]},
        ),
        ("no execution variable 'Id'", [fail("A", {"Get": "Execution.Id"})], {}),
        (
            "default of parameter P must be of type Integer, got '5'",
            [fail("A")],
            {"parameters": [{"Name": "P", "Type": "Integer", "DefaultValue": "5"}]},
        ),
        (
            "must be one of a, b",
            [fail("A")],
            {"parameters": [{"Name": "P", "Type": "String", "DefaultValue": "c", "EnumValues": ["a", "b"]}]},
        ),
        (
            "declared twice",
            [fail("A")],
            {"parameters": [{"Name": "P", "Type": "String"}, {"Name": "P", "Type": "String"}]},
        ),
        ("type of parameter P", [fail("A")], {"parameters": [{"Name": "P", "Type": "Str"}]}),
        ("has no conditions", [condition()], {}),
        (
            "'ConditionLessThanOrEqualTo', did you mean LessThanOrEqualTo?",
            [condition({"Type": "ConditionLessThanOrEqualTo"})],
            {},
        ),
        (
            "condition Equals of step Gate has no RightValue",
            [condition({"Type": "Equals", "LeftValue": 1})],
            {},
        ),
        (
            'must be {"Get": "Steps.<step>.PropertyFiles.<name>"}',
            [fail("A", {"Std:JsonGet": {"PropertyFile": "Report", "Path": "x"}})],
            {},
        ),
        (
            "has no property file 'Nope'",
            [
                fail("B"),
                fail(
                    "A", {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.B.PropertyFiles.Nope"}, "Path": "x"}}
                ),
            ],
            {},
        ),
        (
            "which the step does not have",
            [fail("A", PropertyFiles=[{"PropertyFileName": "F", "OutputName": "o", "FilePath": "f"}])],
            {},
        ),
        (
            "step In refers at Arguments.ErrorMessage to step 'Gone'",
            [
                condition(
                    {"Type": "In", "QueryValue": 1, "Values": [1]}, yes=[fail("In", {"Get": "Steps.Gone.X"})]
                )
            ],
            {},
        ),
    ],
)
def test_refused(said: str, steps: list[dict[str, Any]], more: dict[str, Any]) -> None:
    assert said in refusal(*steps, **more)


def test_all_problems_at_once_and_no_json() -> None:
    message = refusal(fail("A", {"Get": "Parameters.X"}), fail("A"), version="0")
    assert all(part in message for part in ("Version", "used twice", "'X'"))
    with pytest.raises(ApiError, match="not valid JSON"):
        read_definition("{")


def test_the_inside_of_branches_is_not_the_condition_s_own() -> None:
    inner = fail("Inner", {"Get": "Steps.Late.X"})
    found = parse(condition({"Type": "Equals", "LeftValue": 1, "RightValue": 1}, yes=[inner]), fail("Late"))
    assert found.steps["Gate"].depends_on == set()
    assert found.steps["Inner"].depends_on == {"Late"} and found.steps["Inner"].branch == "IfSteps"


PARAMETERS = [
    {"Name": "S", "Type": "String", "EnumValues": ["a", "b"]},
    {"Name": "I", "Type": "Integer", "DefaultValue": 3},
    {"Name": "F", "Type": "Float", "DefaultValue": 6},
    {"Name": "B", "Type": "Boolean", "DefaultValue": False},
]


def pairs(**values: str) -> list[dict[str, str]]:
    return [{"Name": key, "Value": value} for key, value in values.items()]


def test_parameters() -> None:
    found = parse(fail("A"), parameters=PARAMETERS)
    assert found.values(pairs(S="a", B="true", F="1e-1")) == {"S": "a", "I": 3, "F": 0.1, "B": True}
    for wrong, said in [
        (pairs(), r"\[S\] do not have a value"),
        (pairs(S="c"), "must be one of"),
        (pairs(S="a", I="2.5"), "must be of type Integer, got '2.5'"),
        (pairs(S="a", X="1"), r"Unknown pipeline parameters \[X\]"),
        ([*pairs(S="a"), *pairs(S="b")], "twice"),
    ]:
        with pytest.raises(ApiError, match=said):
            found.values(wrong)


DOCUMENT = {
    "ProcessingOutputConfig": {
        "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://x"}}, {"OutputName": "a.b", "n": 1}]
    },
    "HyperParameters": {"max_depth": "5"},
    "FinalMetricDataList": [{"MetricName": "validation:rmse", "Value": 2.2}],
    "list": [[1, 2], [3]],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri", "s3://x"),
        ("ProcessingOutputConfig.Outputs[0].S3Output.S3Uri", "s3://x"),
        ("ProcessingOutputConfig.Outputs['a.b'].n", 1),
        ('HyperParameters["max_depth"]', "5"),
        ("FinalMetricDataList['validation:rmse'].Value", 2.2),
        ("list[0][1]", 2),
        ("$.list[1]", [3]),
    ],
)
def test_paths(path: str, value: Any) -> None:
    assert walk(DOCUMENT, path) == value


@pytest.mark.parametrize(
    "path", ["Nope", "list[7]", "HyperParameters.max_depth.x", "list[", "ProcessingOutputConfig.Outputs['x']"]
)
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(Unresolved):
        walk(DOCUMENT, path)


def resolver(**parameters: Any) -> Resolver:
    return Resolver(
        parameters,
        {"PipelineExecutionId": "id"},
        lambda step, path: walk({"S": DOCUMENT}[step], path),
        lambda *_: {"mse": {"value": 4.7}},
        text_of,
    )


def test_join_nests_and_writes_values_as_text() -> None:
    inner = {"Std:Join": {"On": "-", "Values": [1, True, None, 6.0, {"Get": "Parameters.P"}]}}
    assert resolver(P="x").resolve(
        {
            "a": [
                {"Std:Join": {"On": "/", "Values": ["s3:/", inner, {"Get": "Execution.PipelineExecutionId"}]}}
            ]
        }
    ) == {"a": ["s3://1-true--6.0-x/id"]}
    assert resolver().resolve({"Std:Join": {"Values": []}}) == ""


MSE = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.E.PropertyFiles.R"}, "Path": "mse.value"}}


@pytest.mark.parametrize(
    ("holds", "written"),
    [
        (True, {"Type": "LessThanOrEqualTo", "LeftValue": MSE, "RightValue": 4.7}),
        (False, {"Type": "LessThan", "LeftValue": MSE, "RightValue": 4.7}),
        (True, {"Type": "GreaterThan", "LeftValue": "10", "RightValue": 9}),
        (False, {"Type": "GreaterThanOrEqualTo", "LeftValue": 8, "RightValue": 9}),
        (True, {"Type": "Equals", "LeftValue": "a", "RightValue": "a"}),
        (True, {"Type": "Equals", "LeftValue": "5", "RightValue": 5}),
        (False, {"Type": "Equals", "LeftValue": True, "RightValue": 1.5}),
        (True, {"Type": "In", "QueryValue": {"Get": "Parameters.P"}, "Values": ["x", "y"]}),
        (True, {"Type": "Not", "Condition": {"Type": "Equals", "LeftValue": 1, "RightValue": 2}}),
        (
            True,
            {
                "Type": "Or",
                "Conditions": [
                    {"Type": "Equals", "LeftValue": 1, "RightValue": 2},
                    {"Type": "Equals", "LeftValue": 1, "RightValue": 1},
                ],
            },
        ),
    ],
)
def test_conditions(holds: bool, written: dict[str, Any]) -> None:
    assert resolver(P="y").holds(written) is holds


def test_comparing_text_fails_the_step() -> None:
    with pytest.raises(Unresolved, match="compares numbers, got 'abc'"):
        resolver().holds({"Type": "LessThan", "LeftValue": "abc", "RightValue": 1})


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_json_is_either_read_or_refused(value: Any) -> None:
    """Whatever a definition holds: a parsed definition or a ValidationException, nothing else."""
    for text in (
        json.dumps(value),
        json.dumps({"Version": "2020-12-01", "Steps": value}),
        json.dumps(
            {
                "Version": "2020-12-01",
                "Steps": [
                    {
                        "Name": "A",
                        "Type": "Condition",
                        "Arguments": value,
                        "DependsOn": value,
                        "PropertyFiles": value,
                    }
                ],
            }
        ),
    ):
        try:
            read_definition(text)
        except ApiError as error:
            assert error.code == "ValidationException"
