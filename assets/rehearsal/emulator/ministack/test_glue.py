"""Glue jobs and crawlers against a running emulator. Those without Spark come first: Java warms up meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.ministack.testing import ACCOUNT, Running, task

SPARK = """
import sys
from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
import words

options = getResolvedOptions(sys.argv, ["JOB_NAME", "source", "target"])
spark = GlueContext(SparkContext.getOrCreate()).spark_session
frame = spark.read.csv(options["source"], header=True)
print("rows", frame.count(), words.GREETING, open("extra.txt").read())
if options["JOB_NAME"] == "spark-bad":
    raise ValueError("12 rows have no sex")
frame.groupBy("sex").count().coalesce(1).write.mode("overwrite").csv(options["target"], header=True)
Job(spark).commit()
"""
PROBE = """
import os, sys, time
import boto3
from awsglue.utils import getResolvedOptions
from pyspark.sql import SparkSession
then = getResolvedOptions(sys.argv, ["then"])["then"]
spark = SparkSession.builder.getOrCreate()
pid = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
views = [table.name for table in spark.catalog.listTables()]
print("java", pid, spark.conf.get("spark.left", "no property"), views, flush=True)
spark.range(1).createOrReplaceTempView("left")
while then == "wait" and not boto3.client("s3").list_objects_v2(Bucket="lake", Prefix="go on")["KeyCount"]:
    time.sleep(0.1)
if then == "force":
    os._exit(7)
"""
SHELL = """
import sys, time
import boto3
from awsglue.utils import getResolvedOptions
options = getResolvedOptions(sys.argv, ["what"])
if options["what"] == "sleep":
    time.sleep(60)
if options["what"] == "write":
    boto3.client("s3").put_object(Bucket="lake", Key="written", Body=b"yes")
if options["what"] == "other":
    boto3.client("s3").put_object(Bucket="other", Key="written", Body=b"yes")
if options["what"] == "exit":
    sys.exit(4)
print("shell says", options["what"])
"""
ROWS = "sex,length,old\nM,0.5,true\nF,0.25,false\nM,1,true\n"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        s3, glue = running.client("s3"), running.client("glue")
        for bucket in ("lake", "other"):
            s3.create_bucket(Bucket=bucket)
        files = {
            "in/a.csv": ROWS,
            "spark.py": SPARK,
            "probe.py": PROBE,
            "shell.py": SHELL,
            "words.py": "GREETING = 'hello'",
            "extra.txt": "more",
        }
        for key, text in files.items():
            s3.put_object(Bucket="lake", Key=key, Body=text.encode())
        role = running.role(
            "Job",
            "glue",
            (
                ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
                ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"],
            ),
            (
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws-glue/*",
            ),
            (["glue:CreateTable", "glue:UpdateTable"], "*"),
        )
        running.role("Blind", "glue")
        # May write into groups that are there, not make any.
        teller = running.role(
            "Teller",
            "glue",
            (["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]),
            (
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [
                    f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/own/logs/{stream}:*"
                    for stream in ("output", "error")
                ],
            ),
        )
        for stream in ("output", "error"):
            running.client("logs").create_log_group(logGroupName=f"/own/logs/{stream}")
        arguments = {
            "--source": "s3://lake/in/",
            "--target": "s3://lake/out/",
            "--extra-py-files": "s3://lake/words.py",
        }
        arguments |= {"--extra-files": "s3://lake/extra.txt", "--enable-metrics": "true"}
        places = {"--custom-logGroup-prefix": "/own/logs", "--custom-logStream-prefix": "told"}
        for name, who, own in (("spark-good", role, {}), ("spark-bad", teller, places)):
            command = {"Name": "glueetl", "ScriptLocation": "s3://lake/spark.py", "PythonVersion": "3"}
            glue.create_job(
                Name=name, Role=who, GlueVersion="5.1", Command=command, DefaultArguments=arguments | own
            )
        command = {"Name": "glueetl", "ScriptLocation": "s3://lake/probe.py", "PythonVersion": "3"}
        glue.create_job(
            Name="probe",
            Role=role,
            GlueVersion="5.1",
            Command=command,
            ExecutionProperty={"MaxConcurrentRuns": 3},
        )
        command = {"Name": "pythonshell", "ScriptLocation": "s3://lake/shell.py", "PythonVersion": "3.9"}
        glue.create_job(Name="shell", Role=role, Command=command, ExecutionProperty={"MaxConcurrentRuns": 2})
        glue.create_job(Name="alone", Role=role, Command=command)
        glue.create_job(Name="again", Role=role, Command=command, MaxRetries=1)
        glue.create_job(Name="fixed", Role=role, Command=command, NonOverridableArguments={"--what": "fixed"})
        glue.create_job(Name="blind", Role="Blind", Command=command)
        glue.create_job(Name="ray", Role=role, Command={**command, "Name": "glueray"})
        yield running


def start(emulator: Running, name: str, **more: Any) -> str:
    return str(emulator.client("glue").start_job_run(JobName=name, **more)["JobRunId"])


def await_end(emulator: Running, name: str, run: str, seconds: float = 120) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = dict(emulator.client("glue").get_job_run(JobName=name, RunId=run)["JobRun"])
        if found["JobRunState"] not in ("STARTING", "RUNNING", "STOPPING"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} still runs")


def play(emulator: Running, name: str, what: str = "", **more: Any) -> dict[str, Any]:
    arguments = {"Arguments": {"--what": what}} if what else {}
    return await_end(emulator, name, start(emulator, name, **arguments, **more))


class TestShellJobs:
    def test_runs_as_its_role(self, emulator: Running) -> None:
        assert play(emulator, "shell", "write")["JobRunState"] == "SUCCEEDED"
        assert emulator.client("s3").get_object(Bucket="lake", Key="written")["Body"].read() == b"yes"

    def test_fails_when_the_role_may_not_write(self, emulator: Running) -> None:
        run = play(emulator, "shell", "other")
        assert run["JobRunState"] == "FAILED" and "AccessDenied" in run["ErrorMessage"]

    def test_fails_when_the_role_may_not_read_the_script(self, emulator: Running) -> None:
        run = play(emulator, "blind", "x")
        assert run["JobRunState"] == "FAILED"
        assert "s3://lake/shell.py" in run["ErrorMessage"] and "role/Blind" in run["ErrorMessage"]

    def test_fails_when_an_argument_is_missing(self, emulator: Running) -> None:
        assert "GlueArgumentError" in play(emulator, "shell")["ErrorMessage"]

    def test_stop(self, emulator: Running) -> None:
        run = start(emulator, "shell", Arguments={"--what": "sleep"})
        while (
            emulator.client("glue").get_job_run(JobName="shell", RunId=run)["JobRun"]["JobRunState"]
            == "STARTING"
        ):
            time.sleep(0.02)
        answer = emulator.client("glue").batch_stop_job_run(JobName="shell", JobRunIds=[run, "jr_none"])
        assert answer["SuccessfulSubmissions"] == [{"JobName": "shell", "JobRunId": run}]
        assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
        assert await_end(emulator, "shell", run)["JobRunState"] == "STOPPED"

    def test_fails_when_more_run_than_may(self, emulator: Running) -> None:
        glue = emulator.client("glue")
        run = start(emulator, "alone", Arguments={"--what": "sleep"})
        with pytest.raises(glue.exceptions.ConcurrentRunsExceededException):
            start(emulator, "alone", Arguments={"--what": "x"})
        glue.batch_stop_job_run(JobName="alone", JobRunIds=[run])
        assert await_end(emulator, "alone", run)["JobRunState"] == "STOPPED"
        assert play(emulator, "alone", "x")["JobRunState"] == "SUCCEEDED"

    def test_retries(self, emulator: Running) -> None:
        run = play(emulator, "again", "exit")
        assert run["JobRunState"] == "FAILED"
        again = await_end(emulator, "again", f"{run['Id']}_attempt_1")
        assert (again["Attempt"], again["PreviousRunId"]) == (1, run["Id"])
        assert len(emulator.client("glue").get_job_runs(JobName="again")["JobRuns"]) == 2

    def test_fixed_arguments(self, emulator: Running) -> None:
        glue = emulator.client("glue")
        with pytest.raises(glue.exceptions.InvalidInputException, match="--what"):
            start(emulator, "fixed", Arguments={"--what": "x"})
        run = await_end(emulator, "fixed", start(emulator, "fixed"))
        logged = emulator.client("logs").get_log_events(
            logGroupName="/aws-glue/python-jobs/output", logStreamName=run["Id"]
        )["events"]
        assert logged[-1]["message"] == "shell says fixed"

    def test_fails_when_the_kind_of_job_is_not_played(self, emulator: Running) -> None:
        assert "glueray is not played" in play(emulator, "ray", "x")["ErrorMessage"]


class TestSparkJobs:
    def test_reads_and_writes_s3_under_its_role(self, emulator: Running) -> None:
        run = play(emulator, "spark-good")
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        listed = emulator.client("s3").list_objects_v2(Bucket="lake", Prefix="out/part")["Contents"]
        text = emulator.client("s3").get_object(Bucket="lake", Key=listed[0]["Key"])["Body"].read().decode()
        assert sorted(text.split()) == ["F,1", "M,2", "sex,count"]
        logged = emulator.client("logs").get_log_events(
            logGroupName="/aws-glue/jobs/output", logStreamName=run["Id"]
        )["events"]
        assert "rows 3 hello more" in [event["message"] for event in logged]

    def test_fails_when_the_script_raises(self, emulator: Running) -> None:
        run = play(emulator, "spark-bad")
        assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "ValueError: 12 rows have no sex")
        told = [
            note
            for note in emulator.notes("job")
            if note.get("run") == run["Id"] and note.get("state") == "FAILED"
        ]
        assert any("Traceback" in line for line in told[0]["log"])
        for group in ("/own/logs/output", "/own/logs/error"):
            logged = emulator.client("logs").get_log_events(logGroupName=group, logStreamName="told-driver")
            assert "rows 3 hello more" in [event["message"] for event in logged["events"]]
        assert not [denial for denial in emulator.report()["denials"] if "Teller" in denial["principal"]]

    def test_fails_when_the_role_may_not_read(self, emulator: Running) -> None:
        run = play(emulator, "spark-good", Arguments={"--source": "s3://other/in/"})
        assert run["JobRunState"] == "FAILED" and "AccessDenied" in run["ErrorMessage"]
        assert any(
            d["action"] == "s3:ListBucket" and d["resource"].endswith(":::other")
            for d in emulator.report()["denials"]
        )


class TestOneJavaForManyScripts:
    def test_a_script_leaves_nothing_to_the_next(self, emulator: Running) -> None:
        first = self.probe(emulator, "end", **{"--conf": "spark.left=a property"})
        assert first.split(" ", 1)[1] == "a property []"
        second = self.probe(emulator, "end")
        assert second.split(" ", 1)[1] == "no property []"
        assert second.split(" ")[0] == first.split(" ")[0], "the same Java"

    def test_more_scripts_than_javas_wait_for_their_turn(self, emulator: Running) -> None:
        runs = [start(emulator, "probe", Arguments={"--then": "wait"}) for _ in range(2)]
        for run in runs:
            self.await_running(emulator, run)
        third = start(emulator, "probe", Arguments={"--then": "end"})
        assert [self.state(emulator, run) for run in (*runs, third)] == ["RUNNING", "RUNNING", "STARTING"]
        emulator.client("s3").put_object(Bucket="lake", Key="go on", Body=b"")
        ended = [await_end(emulator, "probe", run) for run in (*runs, third)]
        assert [run["JobRunState"] for run in ended] == ["SUCCEEDED"] * 3

    def test_a_script_that_leaves_by_force_costs_its_java(self, emulator: Running) -> None:
        run = play(emulator, "probe", Arguments={"--then": "force"})
        assert "exit code 7 before the script did" in run["ErrorMessage"]
        lost = self.told(emulator, run).split(" ")[0]
        assert lost not in [self.probe(emulator, "end").split(" ")[0] for _ in range(2)]

    def probe(self, emulator: Running, then: str, **arguments: str) -> str:
        """What a script found that succeeded."""
        run = play(emulator, "probe", Arguments={"--then": then, **arguments})
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        return self.told(emulator, run)

    def told(self, emulator: Running, run: dict[str, Any]) -> str:
        """The process id of Java, a property, the views."""
        logged = emulator.client("logs").get_log_events(
            logGroupName="/aws-glue/jobs/output", logStreamName=run["Id"]
        )["events"]
        told = next(event["message"] for event in logged if event["message"].startswith("java "))
        return str(told).removeprefix("java ")

    def state(self, emulator: Running, run: str) -> str:
        return str(emulator.client("glue").get_job_run(JobName="probe", RunId=run)["JobRun"]["JobRunState"])

    def await_running(self, emulator: Running, run: str) -> None:
        until = time.monotonic() + 60
        while self.state(emulator, run) != "RUNNING":
            assert time.monotonic() < until, f"{run} does not begin"
            time.sleep(0.05)


class TestFromAWorkflow:
    def test_waits_for_the_run_and_needs_both_grants(self, emulator: Running) -> None:
        job = f"arn:aws:glue:us-east-1:{ACCOUNT}:job/shell"
        whole = emulator.role("Starter", "states", (["glue:StartJobRun", "glue:GetJobRun"], job))
        half = emulator.role("HalfStarter", "states", (["glue:StartJobRun"], job))
        parameters = {"JobName": "shell", "Arguments": {"--what.$": "$.what"}}
        definition = task("glue:startJobRun.sync", parameters)
        machine = emulator.machine("glue-whole", whole, definition)
        assert emulator.execute(machine, {"what": "x"})["output"]["JobRunState"] == "SUCCEEDED"
        failed = emulator.execute(machine, {"what": "exit"})
        assert failed["error"] == "States.TaskFailed" and '"JobRunState": "FAILED"' in failed["cause"]
        denied = emulator.execute(emulator.machine("glue-half", half, definition), {"what": "x"})
        assert denied["error"] == "Glue.AWSGlueException" and "glue:GetJobRun" in denied["cause"]

    def test_stopping_the_execution_stops_the_run(self, emulator: Running) -> None:
        job = f"arn:aws:glue:us-east-1:{ACCOUNT}:job/alone"
        role = emulator.role(
            "Stopper", "states", (["glue:StartJobRun", "glue:GetJobRun", "glue:BatchStopJobRun"], job)
        )
        definition = task("glue:startJobRun.sync", {"JobName": "alone", "Arguments": {"--what": "sleep"}})
        states = emulator.client("stepfunctions")
        execution = states.start_execution(stateMachineArn=emulator.machine("glue-stop", role, definition))[
            "executionArn"
        ]
        runs: list[dict[str, Any]] = []
        while not any(run["JobRunState"] == "RUNNING" for run in runs):
            time.sleep(0.1)
            runs = emulator.client("glue").get_job_runs(JobName="alone")["JobRuns"]
        states.stop_execution(executionArn=execution)
        assert await_end(emulator, "alone", runs[0]["Id"], seconds=20)["JobRunState"] == "STOPPED"


class TestCrawlers:
    def crawl(self, emulator: Running, name: str, path: str, role: str = "Job") -> dict[str, Any]:
        glue = emulator.client("glue")
        if not any(found["Name"] == "things" for found in glue.get_databases()["DatabaseList"]):
            glue.create_database(DatabaseInput={"Name": "things"})
        glue.create_crawler(
            Name=name,
            Role=role,
            DatabaseName="things",
            TablePrefix="t_",
            Targets={"S3Targets": [{"Path": path}]},
        )
        glue.start_crawler(Name=name)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            crawler = glue.get_crawler(Name=name)["Crawler"]
            if crawler["State"] == "READY":
                return dict(crawler["LastCrawl"])
            time.sleep(0.05)
        raise AssertionError("the crawler still runs")

    def test_infers_the_columns_of_a_csv(self, emulator: Running) -> None:
        assert self.crawl(emulator, "c1", "s3://lake/in/")["Status"] == "SUCCEEDED"
        table = emulator.client("glue").get_table(DatabaseName="things", Name="t_in")["Table"]
        columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
        assert columns == {"sex": "string", "length": "double", "old": "boolean"}

    def test_fails_when_there_is_nothing_or_no_grant(self, emulator: Running) -> None:
        assert (
            "nothing to crawl at s3://lake/void/"
            in self.crawl(emulator, "c2", "s3://lake/void/")["ErrorMessage"]
        )
        assert "s3:ListBucket" in str(
            self.crawl(emulator, "c3", "s3://lake/in/", role="Blind")["ErrorMessage"]
        ) or any(denial["action"] == "s3:ListBucket" for denial in emulator.report()["denials"])


def test_nothing_runs_after_the_end() -> None:
    with Running() as running:
        role = running.role("Job", "glue")
        command = {"Name": "glueetl", "ScriptLocation": "s3://lake/spark.py"}
        running.client("glue").create_job(Name="warm", Role=role, Command=command)
        until = time.monotonic() + 60
        while not any("java" in line for line in processes_of(running)):
            assert time.monotonic() < until, "a worker warms up as soon as there is a Spark job"
            time.sleep(0.1)
    assert not running.work.exists()
    assert processes_of(running) == []


def processes_of(emulator: Running) -> list[str]:
    listed = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(emulator.work) in line]
