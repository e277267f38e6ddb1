"""Writes model archives: `models.py <schema.json> <folder> <scripts>`, and on stdin `{"<name>": <constant> | null}`.

Each model answers any row with its constant, so that a prediction tells which version serves; null cannot be loaded.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(schema: Path, folder: Path, scripts: Path) -> None:
    """One preprocessor for all, and a model of each constant."""
    sys.path.insert(0, str(scripts))
    import numpy
    import preprocess
    import xgboost

    for split in preprocess.SPLITS:
        (folder / "data" / split).mkdir(parents=True)
        (folder / "data" / split / "part-0.csv").write_text(
            "kind,weight,age\nbolt,1.5,3\nnut,2.5,4\nbolt,,5\n"
        )
    preprocess.run(
        folder / "data", schema, {name: folder / name for name in (*preprocess.SPLITS, "preprocessor")}
    )
    table = numpy.loadtxt(folder / "train" / "train.csv", delimiter=",")
    for name, constant in json.load(sys.stdin).items():
        content = b"this is not a model"
        if constant is not None:
            data = xgboost.DMatrix(table[:, 1:], label=[constant] * len(table))
            content = bytes(xgboost.train({"base_score": constant}, data, 1).save_raw("ubj"))
        (folder / f"{name}.tar.gz").write_bytes(preprocess.model_archive({"xgboost-model": content}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
