"""Validates the hyper-parameters of the built-in XGBoost algorithm, with the messages of the image (source:
aws/sagemaker-xgboost-container, `algorithm_mode/hyperparameter_validation.py` and `sagemaker_algorithm_toolkit`).

The image knows fewer names than XGBoost: one that it does not know fails the job.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAXIMIZED = (
    *("accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg"),
    *("precision", "r2", "recall", "precision_macro", "precision_micro", "recall_macro", "recall_micro"),
)
MINIMIZED = (
    *("aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik"),
    *("interval-regression-accuracy", "logloss", "mae", "mape", "merror", "mlogloss", "mphe", "mse"),
    *("poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik"),
)
METRICS = (*MAXIMIZED, *MINIMIZED)
OBJECTIVES = (
    *("aft_loss_distribution", "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson"),
    *("multi:softmax", "multi:softprob", "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear"),
    *("reg:squarederror", "reg:logistic", "reg:gamma", "reg:pseudohubererror", "reg:squaredlogerror"),
    *("reg:absoluteerror", "reg:tweedie", "survival:aft", "survival:cox"),
)
UPDATERS = (
    *("grow_colmaker", "distcol", "grow_histmaker", "grow_skmaker", "sync", "refresh", "prune"),
    *("shotgun", "coord_descent"),
)
ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}


class UserError(Exception):
    """What the image calls an error of the user."""


@dataclass(frozen=True)
class Interval:
    """A range of numbers, shown as `[0, 1]`, `(0, 1]` or `[1, +inf)`."""

    text: str

    def __contains__(self, value: float) -> bool:
        low, high = (float(end) for end in self.text[1:-1].split(", "))
        # Comparisons as in the image, which therefore lets NaN pass.
        below = value <= low if self.text[0] == "(" else value < low
        above = value >= high if self.text[-1] == ")" else value > high
        return not (below or (above and high != float("inf")))


@dataclass(frozen=True)
class Rule:
    """How the text of a hyper-parameter is read, and which values may be in it."""

    parse: Callable[[str], Any]
    within: Interval | Sequence[Any]

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, (list, tuple)):
            members = [each for part in value for each in (part if isinstance(part, list) else [part])]
            if any(member not in self.within for member in members):
                raise UserError(f"Hyperparameter {name}: value {value} not in range {self._shown()}")
        elif value not in self.within:
            raise UserError(f"Hyperparameter {name}: {value} is not in {self._shown()}")

    def _shown(self) -> str:
        return self.within.text if isinstance(self.within, Interval) else str(list(self.within))


def _integer(within: str) -> Rule:
    return Rule(int, Interval(within))


def _number(within: str) -> Rule:
    return Rule(float, Interval(within))


def _one_of(*values: str) -> Rule:
    return Rule(str, values)


def _names(text: str) -> list[str]:
    return text.split(",")


RULES: dict[str, Rule] = {
    "num_round": _integer("[1, +inf)"),
    "csv_weights": _integer("[0, 1]"),
    "early_stopping_rounds": _integer("[1, +inf)"),
    "booster": _one_of("gbtree", "gblinear", "dart"),
    "verbosity": _integer("[0, 3]"),
    "nthread": _integer("[1, +inf)"),
    "eta": _number("[0, 1]"),
    "gamma": _number("[0, +inf)"),
    "max_depth": _integer("[0, +inf)"),
    "min_child_weight": _number("[0, +inf)"),
    "max_delta_step": _number("[0, +inf)"),
    "subsample": _number("(0, 1]"),
    "colsample_bytree": _number("(0, 1]"),
    "colsample_bylevel": _number("(0, 1]"),
    "colsample_bynode": _number("(0, 1]"),
    "lambda": _number("[0, +inf)"),
    "alpha": _number("[0, +inf)"),
    "tree_method": _one_of("auto", "exact", "approx", "hist", "gpu_hist"),
    "sketch_eps": _number("(0, 1)"),
    "scale_pos_weight": _number("(0, +inf)"),
    "updater": Rule(_names, UPDATERS),
    "dsplit": _one_of("row", "col"),
    "refresh_leaf": _integer("[0, 1]"),
    "process_type": _one_of("default", "update"),
    "grow_policy": _one_of("depthwise", "lossguide"),
    "max_leaves": _integer("[0, +inf)"),
    "max_bin": _integer("[0, +inf)"),
    "predictor": _one_of("auto", "cpu_predictor", "gpu_predictor"),
    "monotone_constraints": Rule(ast.literal_eval, (-1, 0, 1)),
    "interaction_constraints": Rule(ast.literal_eval, Interval("[1, +inf)")),
    "sample_type": _one_of("uniform", "weighted"),
    "normalize_type": _one_of("tree", "forest"),
    "rate_drop": _number("[0, 1]"),
    "one_drop": _integer("[0, 1]"),
    "skip_drop": _number("[0, 1]"),
    "lambda_bias": _number("[0, 1]"),
    "tweedie_variance_power": _number("(1, 2)"),
    "objective": _one_of(*OBJECTIVES),
    "num_class": _integer("[2, +inf)"),
    "base_score": _number("[0, +inf)"),
    "_kfold": _integer("[2, +inf)"),
    "_num_cv_round": _integer("[1, +inf)"),
    "_tuning_objective_metric": _one_of(*(f"validation:{metric}" for metric in METRICS)),
    "eval_metric": Rule(_names, METRICS),
    "seed": _integer("(-2147483648, 2147483647)"),
    "num_parallel_tree": _integer("[1, +inf)"),
    "save_model_on_termination": _one_of("true", "false"),
    "aft_loss_distribution": _one_of("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _number("[0, +inf)"),
    "deterministic_histogram": _one_of("true", "false"),
    "sampling_method": _one_of("uniform", "gradient_based"),
    "prob_buffer_row": _integer("(1.0, +inf)"),
    "use_dask_gpu_training": _one_of("true", "false"),
}


def validate(given: Mapping[str, str]) -> dict[str, Any]:
    """The values of the hyper-parameters; raises `UserError` as the image does, at the first that is wrong."""
    texts = {ALIASES.get(name, name): text for name, text in given.items()}
    if "num_round" not in texts:
        raise UserError("Missing required hyperparameter: num_round")
    values = {name: _parsed(name, text) for name, text in texts.items()}
    for name, value in values.items():
        if name == "eval_metric":
            plain = [metric for metric in value if not _has_threshold(metric)]
            if any(metric not in METRICS for metric in plain):
                RULES[name].check(name, value)
        else:
            RULES[name].check(name, value)
    _check_together(values)
    return values


def _parsed(name: str, text: str) -> Any:
    if name not in RULES:
        raise UserError(f"Extraneous hyperparameter found: {name}")
    try:
        return RULES[name].parse(text)
    except (ValueError, SyntaxError) as error:
        raise UserError(f"Hyperparameter {name}: could not parse value (caused by ValueError)") from error


def _has_threshold(metric: str) -> bool:
    name, at, threshold = metric.partition("@")
    if not at:
        return False
    if name.strip() not in ("error", "ndcg", "map"):
        raise UserError(
            f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should be one of these"
            " options: 'error', 'ndcg', 'map'."
        )
    try:
        float(threshold)
    except ValueError as error:
        raise UserError(f"Threshold value 't' in '{name.strip()}@t' expects float input.") from error
    return True


def _check_together(values: Mapping[str, Any]) -> None:
    """Values that do not go with others."""
    objective, tree_method = values.get("objective"), values.get("tree_method")
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in values:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    if "eval_metric" in values:
        if objective is None:
            # The image fails with a KeyError here.
            raise UserError("'objective'")
        if "auc" in values["eval_metric"] and not objective.startswith(("binary:", "rank:")):
            raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
        if "aft-nloglik" in values["eval_metric"] and objective != "survival:aft":
            raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")
    if "monotone_constraints" in values and tree_method not in ("exact", "hist"):
        raise UserError(
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'."
        )
    if "interaction_constraints" in values and tree_method not in ("exact", "hist", "approx"):
        raise UserError(
            "interaction_constraints can be used only when the tree_method parameter is set to either 'exact', 'hist' or"
            " 'approx'."
        )
    if "updater" in values:
        _check_updater(values["updater"], values.get("booster"), values.get("process_type"))


def _check_updater(updater: Sequence[str], booster: str | None, process_type: str | None) -> None:
    if booster == "gblinear":
        if len(updater) != 1 or updater[0] not in ("shotgun", "coord_descent"):
            raise UserError("Linear updater should be one of these options: 'shotgun', 'coord_descent'.")
    elif process_type == "update":
        if not set(updater) <= {"refresh", "prune"}:
            raise UserError("process_type 'update' can only be used with updater 'refresh' and 'prune'")
    elif not set(updater).isdisjoint(("shotgun", "coord_descent")):
        raise UserError(
            "Tree updater should be selected from these options: 'grow_colmaker', 'distcol', 'grow_histmaker', 'grow_skmaker',"
            " 'grow_quantile_histmaker', 'sync', 'refresh', 'prune', 'shortgun', 'coord_descent'."
        )
    elif len([name for name in updater if name in ("grow_colmaker", "distcol", "grow_histmaker")]) > 1:
        raise UserError(
            "Only one tree grow plugin can be selected. Choose one from thefollowing: 'grow_colmaker', 'distcol',"
            " 'grow_histmaker', 'grow_skmaker'"
        )
