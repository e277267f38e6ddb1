"""Functions write their logs with the permissions of their role; without these there are no logs, as on AWS.

The actions: Lambda developer guide, "Sending Lambda function logs to CloudWatch Logs".
"""

from __future__ import annotations

from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import cloudwatch_logs, lambda_svc

from emulator.host import AccessDenied
from emulator.ministack.emulator import Emulator

__all__ = ["install"]


def install(emulator: Emulator) -> None:
    """Evaluates `logs:CreateLogGroup`, `CreateLogStream`, `PutLogEvents` for every function that writes."""
    emit = lambda_svc._emit_lambda_logs

    def emitted(func: dict[str, Any], request_id: str, *arguments: Any, **named: Any) -> None:
        config = func.get("config") or func
        if _may_write(emulator, config):
            emit(func, request_id, *arguments, **named)

    lambda_svc._emit_lambda_logs = emitted


def _may_write(emulator: Emulator, config: dict[str, Any]) -> bool:
    name = str(config.get("FunctionName", "unknown"))
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    function = parse_arn(str(config["FunctionArn"]))
    host = emulator.host.at(function.account_id, function.region)
    arn = f"arn:aws:logs:{host.region}:{host.account}:log-group:{group}"
    stream = f"{arn}:log-stream:any"
    host.enter()
    wanted = [("logs:CreateLogStream", stream), ("logs:PutLogEvents", stream)]
    if group not in cloudwatch_logs._log_groups:
        wanted.insert(0, ("logs:CreateLogGroup", arn))
    try:
        for action, resource in wanted:
            emulator.grants.authorize(str(config.get("Role", "")), action, resource, session=name)
    except AccessDenied:
        return False
    return True
