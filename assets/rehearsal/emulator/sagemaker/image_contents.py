"""What the rehearsal knows of each of SageMaker's images: the programs that play it, and the libraries in it.

The lists are those of the images' own sources: `docker/sklearn`, `docker/xgboost` (pyproject.toml, requirements.txt, uv.lock) of the
public repository aws/deep-learning-containers at e0ecede (2026-08-21), and for 1.2-1 and 1.7-1 the requirements.txt of
aws/sagemaker-scikit-learn-container and aws/sagemaker-xgboost-container. Named are the libraries that a model can depend on, the one
that gives the image its name first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CONTAINERS = Path(__file__).parent / "containers"
PYTHON = "Python"


@dataclass(frozen=True)
class StandIn:
    """The program for each use of an image; None where there is none."""

    name: str
    train: Path | None
    """Played when no entry point is given."""
    serve: Path | None
    process: Path | None = None
    own: bool = False
    """Whether the programs are the team's."""
    example: str = ""
    """A tag that exists."""
    metrics: re.Pattern[str] | None = None
    """Finds the metrics that `train` sends itself in a line of its log: channel, name and value."""
    libraries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The versions in the image, by its tag without `-cpu-py3`."""

    @property
    def environment(self) -> dict[str, str]:
        """Programs of the team may lie in the folder of the app, which a rehearsal does not write to."""
        return {"PYTHONDONTWRITEBYTECODE": "1"} if self.own else {}


KNOWN = {
    stand_in.name: stand_in
    for stand_in in (
        StandIn(
            "sagemaker-scikit-learn",
            train=None,
            serve=CONTAINERS / "sklearn_serve.py",
            example="1.9-0-cpu-py3",
            libraries={
                "1.9-0": {
                    "scikit-learn": "1.9.0",
                    PYTHON: "3.12",
                    "numpy": "2.5.1",
                    "scipy": "1.18.0",
                    "pandas": "2.2.3",
                    "pyarrow": "25.0.0",
                    "joblib": "1.5.3",
                },
                "1.4-2-py312": {
                    "scikit-learn": "1.4.2",
                    PYTHON: "3.12",
                    "numpy": "2.1.0",
                    "pandas": "2.3.2",
                    "pyarrow": "17.0.0",
                },
                "1.2-1": {"scikit-learn": "1.2.1", PYTHON: "3.9", "numpy": "1.24.1", "pandas": "1.1.3"},
            },
        ),
        StandIn(
            "sagemaker-xgboost",
            train=CONTAINERS / "xgboost_train.py",
            serve=CONTAINERS / "xgboost_serve.py",
            example="3.2-0",
            metrics=re.compile(r"#011(train|validation)-([\w@.-]+):([-+.\deE]+)"),
            libraries={
                "3.2-0": {
                    "xgboost": "3.2.0",
                    PYTHON: "3.12",
                    "numpy": "2.1.0",
                    "scipy": "1.15.0",
                    "pandas": "2.2.3",
                    "scikit-learn": "1.8.0",
                    "pyarrow": "22.0.0",
                    "joblib": "1.5.3",
                },
                "3.0-5": {
                    "xgboost": "3.0.5",
                    PYTHON: "3.10",
                    "numpy": "2.1.0",
                    "scipy": "1.15.0",
                    "pandas": "2.2.3",
                    "scikit-learn": "1.5.2",
                    "pyarrow": "22.0.0",
                },
                "1.7-1": {"xgboost": "1.7.4", PYTHON: "3.9", "scikit-learn": "0.24.1", "pandas": "1.2.4"},
            },
        ),
    )
}
