"""
The scripts of the training pipeline, run as one zip: `python3 scripts.zip preprocess ...` and
`... evaluate ...`. Every path is an argument; the defaults are those of SageMaker's processing jobs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional

from contract import ContractError

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="scripts", description=__doc__)
    commands = command.add_subparsers(dest="command", required=True)
    preprocess = commands.add_parser("preprocess", help="fit on the training split, transform all splits")
    preprocess.add_argument("--input", type=Path, default=INPUT / "data")
    for name in ("train", "validation", "test", "preprocessor"):
        preprocess.add_argument(f"--{name}", type=Path, default=OUTPUT / name)
    evaluate = commands.add_parser("evaluate", help="measure the model on the test split")
    evaluate.add_argument("--model", type=Path, default=INPUT / "model")
    evaluate.add_argument(
        "--loader",
        type=Path,
        required=True,
        help="file that loads the model; relative: in the model's archive",
    )
    evaluate.add_argument("--test", type=Path, default=INPUT / "test")
    evaluate.add_argument("--evaluation", type=Path, default=OUTPUT / "evaluation")
    evaluate.add_argument("--require", default="", help="metrics that the gate needs, separated by commas")
    for sub in (preprocess, evaluate):
        sub.add_argument("--schema", type=Path, default=INPUT / "schema" / "schema.json")
        sub.add_argument(
            "--message",
            type=Path,
            default=Path("/opt/ml/output/message"),
            help="where the job's exit message goes",
        )
    return command


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a command. Data that break the contract end it with one sentence, on stderr and as its message."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "preprocess":
            import preprocess

            outputs = {name: getattr(options, name) for name in (*preprocess.SPLITS, "preprocessor")}
            print(json.dumps({"rows": preprocess.run(options.input, options.schema, outputs)}))
        else:
            import evaluate

            required = [name for name in options.require.split(",") if name]
            print(
                json.dumps(
                    evaluate.run(
                        options.model,
                        options.loader,
                        options.test,
                        options.schema,
                        options.evaluation,
                        required,
                    )
                )
            )
    except ContractError as error:
        print(f"error: {error}", file=sys.stderr)
        _leave_message(options.message, str(error))
        return 1
    return 0


def _leave_message(file: Path, message: str) -> None:
    # SageMaker takes up to 1 KB; elsewhere there is no such folder, and stderr has it all.
    if file.parent.is_dir():
        file.write_bytes(message.encode("utf-8")[:1000])


if __name__ == "__main__":
    sys.exit(main())
