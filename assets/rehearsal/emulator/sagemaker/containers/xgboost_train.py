"""Plays the built-in XGBoost algorithm: hyperparameters as strings, CSV or libsvm channels, `xgboost-model` as result
(source: aws/sagemaker-xgboost-container, `algorithm_mode/train.py`).
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import lean_xgboost

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
INTEGERS = (
    "max_depth",
    "nthread",
    "num_class",
    "num_parallel_tree",
    "max_leaves",
    "max_bin",
    "seed",
    "verbosity",
    "updater_seed",
    "sketch_eps",
    "max_cat_to_onehot",
)
# Handled here or without meaning outside of the container.
NOT_FOR_BOOSTER = (
    "num_round",
    "early_stopping_rounds",
    "csv_weights",
    "save_model_on_termination",
    "_kfold",
    "_tuning_objective_metric",
    "_num_cv_round",
    "deterministic_histogram",
)
MAXIMIZED = ("auc", "aucpr", "map", "ndcg", "pre", "accuracy", "f1")


def fail(message: str) -> NoReturn:
    """Ends as the real algorithm does: reason in the failure file, exit code 1."""
    failure = BASE / "output" / "failure"
    failure.parent.mkdir(parents=True, exist_ok=True)
    failure.write_text(message, encoding="utf-8")
    print(message, file=sys.stderr)
    raise SystemExit(1)


def number(name: str, text: str, kind: type) -> Any:
    """A hyperparameter as number."""
    try:
        return kind(text)
    except ValueError:
        word = "an integer" if kind is int else "a number"
        fail(f"Customer Error: hyperparameter {name} must be {word}, got {text!r}")


def parameters(raw: dict[str, str]) -> tuple[dict[str, Any], int, int | None]:
    """Booster parameters, number of rounds, early stopping."""
    if "num_round" not in raw:
        fail("Customer Error: Missing required hyperparameter num_round")
    rounds = number("num_round", raw["num_round"], int)
    if rounds < 1:
        fail(f"Customer Error: hyperparameter num_round must be at least 1, got {rounds}")
    early = (
        number("early_stopping_rounds", raw["early_stopping_rounds"], int)
        if raw.get("early_stopping_rounds")
        else None
    )
    out: dict[str, Any] = {}
    for name, text in raw.items():
        if name in NOT_FOR_BOOSTER or name.startswith("sagemaker_"):
            continue
        if name in INTEGERS:
            out[name] = number(name, text, int)
        elif name == "eval_metric":
            out[name] = [
                part.strip() for part in text.strip("[]").replace('"', "").split(",") if part.strip()
            ]
        else:
            try:
                out[name] = float(text)
            except ValueError:
                out[name] = text
    tuned_by = raw.get("_tuning_objective_metric", "").rpartition(":")[2]
    if tuned_by and tuned_by not in out.get("eval_metric", ()):
        out["eval_metric"] = [*out.get("eval_metric", ()), tuned_by]
    out.setdefault("objective", "reg:squarederror")
    if str(out["objective"]).startswith("multi:") and "num_class" not in out:
        fail(
            "Customer Error: Missing required hyperparameter num_class for objective " + str(out["objective"])
        )
    out.setdefault("seed", 0)
    out.setdefault("nthread", int(os.environ.get("OMP_NUM_THREADS", "2")))
    return out, rounds, early


def matrix(channel: Path, content_type: str | None) -> Any:
    """A DMatrix of all files of a channel; None without the channel."""
    import numpy

    xgboost = lean_xgboost.load()

    if not channel.is_dir():
        return None
    files = [path for path in sorted(channel.rglob("*")) if path.is_file() and path.name[0] not in "._"]
    if not files:
        return None
    kind = (content_type or "").split(";")[0].strip().lower()
    if kind in ("", "libsvm", "text/libsvm", "text/x-libsvm"):
        # Without a content type the real algorithm expects libsvm; for data that is clearly CSV
        # the error says what to set.
        first = files[0].read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
        if ":" not in first and "," in first:
            fail(
                f"Customer Error: channel {channel.name} has content type {content_type!r} (libsvm) but holds"
                " CSV; set ContentType text/csv"
            )
        joined = BASE / "input" / f"{channel.name}.libsvm"
        joined.write_bytes(b"".join(path.read_bytes().rstrip(b"\n") + b"\n" for path in files))
        return xgboost.DMatrix(f"{joined}?format=libsvm")
    if kind not in ("csv", "text/csv"):
        fail(
            f"Customer Error: content type {content_type!r} of channel {channel.name} is not played; use"
            " text/csv or text/libsvm"
        )
    rows: list[list[float]] = []
    for path in files:
        with path.open(encoding="utf-8", newline="") as stream:
            for index, line in enumerate(csv.reader(stream), start=1):
                if not line:
                    continue
                try:
                    rows.append([float(cell) if cell.strip() else float("nan") for cell in line])
                except ValueError:
                    fail(
                        f"Customer Error: {channel.name}/{path.name} line {index} is not numeric:"
                        f" {','.join(line)[:120]!r}. CSV must have the label first and no header."
                    )
                if len(line) != len(rows[0]):
                    fail(
                        f"Customer Error: {channel.name}/{path.name} line {index} has {len(line)} columns,"
                        f" the first has {len(rows[0])}"
                    )
    if not rows:
        fail(f"Customer Error: channel {channel.name} holds no rows")
    data = numpy.asarray(rows, dtype=numpy.float32)
    if data.shape[1] < 2:
        fail(f"Customer Error: channel {channel.name} has only the label column")
    if numpy.isnan(data[:, 0]).any():
        fail(f"Customer Error: channel {channel.name} has rows without a label (first column)")
    return xgboost.DMatrix(data[:, 1:], label=data[:, 0])


def main() -> None:
    """Trains and saves."""
    xgboost = lean_xgboost.load()

    config = BASE / "input" / "config"
    raw: dict[str, str] = json.loads((config / "hyperparameters.json").read_text())
    channels: dict[str, dict[str, Any]] = json.loads((config / "inputdataconfig.json").read_text())
    params, rounds, early = parameters(raw)
    data = {
        name: matrix(BASE / "input" / "data" / name, channels.get(name, {}).get("ContentType"))
        for name in ("train", "validation")
    }
    train, validation = data["train"], data["validation"]
    if train is None:
        fail("Customer Error: the channel train must be given and hold data")
    if early and validation is None:
        print("[WARNING] early_stopping_rounds has no effect without a validation channel")
        early = None
    evals = [(train, "train")] + ([(validation, "validation")] if validation is not None else [])
    print(f"[INFO] Train matrix has {train.num_row()} rows and {train.num_col()} columns")
    if validation is not None:
        print(f"[INFO] Validation matrix has {validation.num_row()} rows")
    callbacks = []
    if early:
        metrics = params.get("eval_metric") or []
        last = metrics[-1].split("@")[0] if metrics else ""
        callbacks.append(
            xgboost.callback.EarlyStopping(
                rounds=early, maximize=True if last in MAXIMIZED else None, save_best=False
            )
        )
    try:
        booster = xgboost.train(
            params, train, num_boost_round=rounds, evals=evals, callbacks=callbacks, verbose_eval=True
        )
    except xgboost.core.XGBoostError as error:
        fail(f"Algorithm Error: XGB train call failed with exception: {str(error).strip().splitlines()[-1]}")
    target = BASE / "model" / "xgboost-model"
    # `save_raw` keeps the best iteration as an attribute, so that serving uses the same trees as the
    # metrics above.
    target.write_bytes(bytes(booster.save_raw(raw_format="ubj")))
    print(f"[INFO] Saved {target.name} with {booster.num_boosted_rounds()} rounds")


if __name__ == "__main__":
    main()
