"""The demo app's screen and its headless probe, run on the JVM: rotation, cancelling, closing, what fails."""

from __future__ import annotations

import pytest

from tests.android.conftest import RunJava

CASES = (
    "AnswersAtOnce",
    "ButtonsFollowWhatGoesOn",
    "EndBeforeTheModelIsOpen",
    "EndDuringAnAnswer",
    "FailureOfAnAnswerIsShown",
    "HeadlessProbeOfNativeCodeThatHangs",
    "HeadlessProbeRefusesWords",
    "HeadlessProbeWritesALineForEachSection",
    "ModelThatCannotBeOpened",
    "NamesOfFiles",
    "ProbeActivityOfABadName",
    "ProbeActivityOfAnAppWithoutAModel",
    "ProbeHasTheModelToItselfAndSharesItsReport",
    "ProbeThatIsCancelled",
    "RotationGoesOnAndLeaksNothing",
    "SecondRunWaitsForTheFirst",
)


@pytest.fixture(scope="module")
def outcomes(run_java: RunJava, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    told = run_java("org.edgeslm.demo.DemoCases", tmp_path_factory.mktemp("files"))
    return dict(line.removeprefix("case").split(": ", 1) for line in told.splitlines())


@pytest.mark.parametrize("case", CASES)
def test_the_demo_app(outcomes: dict[str, str], case: str) -> None:
    assert outcomes[case] == "passed"


def test_no_case_is_left_out(outcomes: dict[str, str]) -> None:
    assert tuple(sorted(outcomes)) == CASES
