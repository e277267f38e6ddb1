"""
Runs a training script of a team, packed with this file as one zip: `python3 code.zip train.py`. The script is called as
SageMaker's script mode calls it (https://github.com/aws/sagemaker-training-toolkit): hyper-parameters as arguments, folders
in the environment, `requirements.txt` installed before. Afterwards its sources go into the model as `code/`, from where the
serving container and the evaluation take them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
SOURCE = "source"
SERVING = "cdk_mlops_serving.py"


def unpack(archive: Path, folder: Path) -> Path:
    """The team's files, out of the zip, and what serves them beside."""
    with zipfile.ZipFile(archive) as file:
        for member in file.namelist():
            if member.startswith(f"{SOURCE}/"):
                file.extract(member, folder)
        file.extract(SERVING, folder / SOURCE)
    return folder / SOURCE


def hyper_parameters() -> Dict[str, Any]:
    """As SageMaker gives them: texts, each read as JSON where it is that."""
    file = BASE / "input" / "config" / "hyperparameters.json"
    given: Dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {name: _decoded(value) for name, value in given.items() if not name.startswith("sagemaker_")}


def environment(values: Dict[str, Any]) -> Dict[str, str]:
    """The variables of script mode that scripts read."""
    channels = sorted(path.name for path in (BASE / "input" / "data").iterdir() if path.is_dir())
    variables = {
        "SM_MODEL_DIR": str(BASE / "model"),
        "SM_INPUT_DIR": str(BASE / "input"),
        "SM_OUTPUT_DIR": str(BASE / "output"),
        "SM_OUTPUT_DATA_DIR": str(BASE / "output" / "data"),
        "SM_CHANNELS": json.dumps(channels),
        "SM_HPS": json.dumps(values),
        **{f"SM_CHANNEL_{_variable(name)}": str(BASE / "input" / "data" / name) for name in channels},
        **{f"SM_HP_{_variable(name)}": str(value) for name, value in values.items()},
    }
    return {**os.environ, **variables}


def main(arguments: List[str], archive: Optional[Path] = None) -> int:
    """Trains and packs; the script's own exit code where it fails."""
    entry_point = arguments[0]
    folder = unpack(archive or Path(sys.argv[0]).resolve(), BASE / "code")
    values = hyper_parameters()
    variables = environment(values)
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    requirements = folder / "requirements.txt"
    if requirements.is_file():
        subprocess.run([sys.executable, "-m", "pip", "install", "-r", str(requirements)], check=True)
    command = [sys.executable, str(folder / entry_point)]
    for name, value in values.items():
        command += [f"--{name}", str(value)]
    ended = subprocess.run(command, cwd=folder, env=variables, check=False)
    if ended.returncode != 0:
        _leave_message(f"{entry_point} ended with exit code {ended.returncode}; its log says why")
        return ended.returncode
    model = BASE / "model"
    if not model.is_dir() or not any(model.iterdir()):
        _leave_message(f"{entry_point} left no model: it must write into the folder SM_MODEL_DIR")
        return 1
    shutil.copytree(folder, model / "code", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return 0


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _leave_message(message: str) -> None:
    """SageMaker shows this file as the reason of a failed training job; a script that wrote it knows better."""
    print(message, file=sys.stderr)
    file = BASE / "output" / "failure"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(message, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
