"""Who is answered: requests as a web page, another program or a later run would send them."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from emulator.ministack.testing import ACCOUNT, Running

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
SIGNED_AS_TEST = "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        running.client("s3").create_bucket(Bucket="held")
        running.client("s3").put_object(Bucket="held", Key="secret.txt", Body=b"held")
        yield running


def send(
    emulator: Running,
    method: str,
    path: str,
    body: bytes | str = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """One request, exactly as given."""
    address = urlsplit(emulator.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


def signed(emulator: Running, request: AWSRequest, service: str, **changed: str) -> AWSRequest:
    keys = {**emulator.credentials[ACCOUNT], **changed}
    SigV4Auth(Credentials(keys["accessKeyId"], keys["secretAccessKey"]), service, "us-east-1").add_auth(
        request
    )
    return request


# The page of the report: three simple cross-origin POSTs, which a browser sends without asking first.
SIMPLE = {"Content-Type": "text/plain", "Origin": "https://page.example"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://page.example"}


@pytest.mark.parametrize(
    "key", ["", "test", ACCOUNT, "AKIAIOSFODNN7EXAMPLE", "111111111111"], ids=lambda key: key or "unsigned"
)
def test_a_page_makes_nothing(emulator: Running, key: str) -> None:
    def as_page(service: str, headers: dict[str, str]) -> dict[str, str]:
        return {
            **headers,
            **({"Authorization": SIGNED_AS_TEST.format(key=key, service=service)} if key else {}),
        }

    attacks: list[tuple[str, str, str, dict[str, str]]] = [
        (
            "POST",
            "/",
            f"Action=CreateRole&RoleName=page&AssumeRolePolicyDocument={TRUST}",
            as_page("iam", FORM),
        ),
        ("POST", "/2015-03-31/functions", json.dumps({"FunctionName": "page"}), as_page("lambda", SIMPLE)),
        ("POST", "/2015-03-31/functions/any/invocations", "{}", as_page("lambda", SIMPLE)),
        ("PUT", "/held/secret.txt", "mine", as_page("s3", SIMPLE)),
        ("GET", "/held/secret.txt", "", as_page("s3", SIMPLE)),
        ("GET", "/held?list-type=2", "", as_page("s3", SIMPLE)),
        ("GET", "/", "", as_page("s3", SIMPLE)),
        ("POST", "/", "{}", as_page("sagemaker", {**SIMPLE, "X-Amz-Target": "SageMaker.ListModels"})),
        ("POST", "/", "{}", as_page("dynamodb", {**SIMPLE, "X-Amz-Target": "DynamoDB_20120810.ListTables"})),
        ("POST", "/", "Action=GetCallerIdentity", as_page("sts", FORM)),
        (
            "POST",
            "/",
            "Action=AssumeRole&RoleSessionName=x&RoleArn=arn:aws:iam::000000000000:role/x",
            as_page("sts", FORM),
        ),
        ("POST", "/WriteGetObjectResponse", "", {**SIMPLE, "x-amz-request-route": "x"}),
        ("GET", "/v20180820/bucket/held/policy", "", SIMPLE),
        ("POST", "/Execute", "{}", SIMPLE),
        ("GET", "/iceberg/v1/config", "", SIMPLE),
        ("GET", "/v2/_catalog", "", SIMPLE),
        ("GET", "/v2/email/identities", "", SIMPLE),
    ]
    for method, path, body, headers in attacks:
        status, answered, content = send(emulator, method, path, body, headers)
        assert status in (400, 401, 403), f"{method} {path} {headers}: {status} {content[:200]!r}"
        assert "access-control-allow-origin" not in answered, path
    assert emulator.client("s3").get_object(Bucket="held", Key="secret.txt")["Body"].read() == b"held"
    assert emulator.client("iam").list_roles()["Roles"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/_rehearsal/health",
        "/_rehearsal/report",
        "/_ministack/health",
        "/_MINISTACK/config",
        "/_ministack/lambda-code/any",
        "/_localstack/health",
        "/_aws/ses",
        "/_aws/sqs/messages",
        "/health",
    ],
)
def test_routes_that_aws_does_not_have_need_the_token(emulator: Running, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        for headers in ({}, {"Authorization": "Bearer guessed"}, {"Authorization": "Bearer "}):
            status, _, _ = send(emulator, method, path, "{}", headers)
            assert status == 403, (method, path, headers)
    assert send(emulator, "POST", "/_ministack/reset")[0] == 403
    assert emulator.client("s3").list_buckets()["Buckets"], "nothing was reset"


@pytest.mark.parametrize(
    "host",
    [
        "page.example",
        "page.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.page.example:{port}",
        "169.254.169.254:{port}",
        "",
    ],
)
def test_only_names_of_this_run_are_hosts(emulator: Running, host: str) -> None:
    named = host.format(port=urlsplit(emulator.endpoint).port)
    for path, headers in (
        ("/_rehearsal/health", {"Authorization": f"Bearer {emulator.token}"}),
        ("/held/secret.txt", {}),
    ):
        status, _, content = send(emulator, "GET", path, headers={**headers, "Host": named})
        assert status in (400, 403), f"{named}: {status} {content[:100]!r}"


def test_a_preflight_is_answered_as_aws_does(emulator: Running) -> None:
    asks = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    for path in ("/", "/2015-03-31/functions", "/held/secret.txt", "/v20180820/bucket/held"):
        status, answered, _ = send(emulator, "OPTIONS", path, headers=asks)
        assert status == 403 and "access-control-allow-origin" not in answered, path
    client = emulator.client("s3")
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://console.example"], "AllowedHeaders": ["*"]}
    client.create_bucket(Bucket="uploads")
    client.put_bucket_cors(Bucket="uploads", CORSConfiguration={"CORSRules": [rule]})
    for origin, expected in (("https://console.example", 200), ("https://page.example", 403)):
        status, answered, _ = send(
            emulator,
            "OPTIONS",
            "/uploads/x",
            headers={"Origin": origin, "Access-Control-Request-Method": "PUT"},
        )
        assert status == expected and (answered.get("access-control-allow-origin") == origin) == (
            expected == 200
        )


def test_the_signature_is_verified(emulator: Running) -> None:
    for changed, code in (
        ({"secretAccessKey": "test"}, "SignatureDoesNotMatch"),
        ({"accessKeyId": "test", "secretAccessKey": "test"}, "UnrecognizedClientException"),
        ({"accessKeyId": ACCOUNT}, "UnrecognizedClientException"),
    ):
        keys = {**emulator.credentials[ACCOUNT], **changed}
        client = boto3.client(
            "sagemaker",
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["accessKeyId"],
            aws_secret_access_key=keys["secretAccessKey"],
            config=Config(retries={"max_attempts": 1}),
        )
        with pytest.raises(ClientError) as refused:
            client.list_models()
        assert refused.value.response["Error"]["Code"] in (code, "InvalidSignatureException"), changed
    url = f"{emulator.endpoint}/held/secret.txt"
    good = signed(emulator, AWSRequest("PUT", url, data=b"held"), "s3").prepare()
    path = urlsplit(url).path
    assert send(emulator, "PUT", path, b"other", dict(good.headers))[0] == 403, "another body"
    assert send(emulator, "PUT", "/held/other.txt", b"held", dict(good.headers))[0] == 403, "another key"
    assert send(emulator, "DELETE", path, b"held", dict(good.headers))[0] == 403, "another method"
    assert send(emulator, "PUT", path, b"held", dict(good.headers))[0] == 200
    digest = hashlib.sha256(b"held").hexdigest()
    request = AWSRequest("PUT", url, data=b"held", headers={"X-Amz-Content-Sha256": digest})
    named = signed(emulator, request, "s3").prepare()
    assert send(emulator, "PUT", path, b"evil", dict(named.headers))[0] in (400, 403), (
        "not the body of the digest"
    )
    assert send(emulator, "PUT", path, b"held", dict(named.headers))[0] == 200


def s3(emulator: Running, version: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id=emulator.credentials[ACCOUNT]["accessKeyId"],
        aws_secret_access_key=emulator.credentials[ACCOUNT]["secretAccessKey"],
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_address_is_good_for_what_it_names_until_it_expires(
    emulator: Running, version: str
) -> None:
    client = s3(emulator, version)
    address = client.generate_presigned_url(
        "get_object", {"Bucket": "held", "Key": "secret.txt"}, ExpiresIn=60
    )
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.read() == b"held"
    changed = re.sub(r"(?<=Signature=)..", "AB", address, flags=re.IGNORECASE)
    for wrong in (address.replace("secret.txt", "other.txt"), changed):
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(wrong, timeout=20)
        assert refused.value.code == 403
    expiring = client.generate_presigned_url(
        "get_object", {"Bucket": "held", "Key": "secret.txt"}, ExpiresIn=1
    )
    time.sleep(2.1)
    with pytest.raises(HTTPError) as late:
        urllib.request.urlopen(expiring, timeout=20)
    assert late.value.code == 403


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_form_is_taken_with_its_signed_policy_only(emulator: Running, version: str) -> None:
    client = s3(emulator, version)
    signature = "signature" if version == "s3" else "x-amz-signature"
    form = client.generate_presigned_post("held", "raw/new.csv", Conditions=[["content-length-range", 1, 10]])

    def post(fields: Mapping[str, str], content: str) -> int:
        parts = [*fields.items(), ("file", content)]
        body = "".join(
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in parts
        )
        headers = {"Content-Type": "multipart/form-data; boundary=edge", "Origin": "https://page.example"}
        return send(emulator, "POST", "/held", body + "--edge--\r\n", headers)[0]

    assert post({"key": "raw/new.csv"}, "a,b") == 403, "no policy"
    assert post({**form["fields"], "key": "approved/model.tar.gz"}, "a,b") == 403, "another key"
    assert post({**form["fields"], signature: "0" * 64}, "a,b") == 403, "another signature"
    assert post(form["fields"], "a,b,c,d,e,f,g") in (400, 403), "too large"
    assert post(form["fields"], "a,b") in (200, 201, 204)
    keys = [entry["Key"] for entry in emulator.client("s3").list_objects_v2(Bucket="held")["Contents"]]
    assert keys == ["raw/new.csv", "secret.txt"]


def test_user_calls_and_keys_of_cognito_need_no_signature(emulator: Running) -> None:
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    app = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="ann")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ann", Password="Aa1!aaaaaaaa", Permanent=True)

    def call(operation: str, content: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
            "Origin": "https://console.example",
        }
        return send(emulator, "POST", "/", json.dumps(content), headers)

    log_in = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": app,
        "AuthParameters": {"USERNAME": "ann", "PASSWORD": "Aa1!aaaaaaaa"},
    }
    status, answered, content = call("InitiateAuth", log_in)
    assert status == 200 and "AuthenticationResult" in json.loads(content)
    assert answered["access-control-allow-origin"] == "*"
    for operation in ("ListUsers", "AdminCreateUser", "AdminAddUserToGroup", "CreateUserPool"):
        status, _, content = call(
            operation, {"UserPoolId": pool, "Username": "eve", "GroupName": "approvers"}
        )
        assert status in (400, 403) and b"MissingAuthenticationToken" in content, (operation, content)
    assert send(emulator, "GET", f"/{pool}/.well-known/jwks.json")[0] == 200
    assert send(emulator, "GET", "/held/.well-known/jwks.json")[0] == 403
    # The name of an operation that needs no signature opens no other route.
    for path in ("/2015-03-31/functions", "/held/secret.txt", "/v20180820/bucket/held"):
        status, _, _ = send(
            emulator, "GET", path, headers={"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"}
        )
        assert status in (400, 403), path


def test_function_urls_are_open_only_where_they_say_so(emulator: Running) -> None:
    role = emulator.role("urls", "lambda")
    for name, kind, expected in (("open", "NONE", 200), ("closed", "AWS_IAM", 403)):
        emulator.function(name, role, "def handler(event, context):\n    return 'ran'\n")
        address = emulator.client("lambda").create_function_url_config(FunctionName=name, AuthType=kind)[
            "FunctionUrl"
        ]
        identity = (urlsplit(address).hostname or "").split(".")[0]
        status, _, content = send(emulator, "GET", f"/_aws/lambda-url/{identity}/")
        assert status == expected, (kind, status, content)
        host = f"{identity}.lambda-url.us-east-1.localhost:{urlsplit(emulator.endpoint).port}"
        assert send(emulator, "GET", "/", headers={"Host": host})[0] == expected, kind
        for path in ("/v20180820/bucket/held/policy", "/iceberg/v1/config", "/Execute"):
            assert send(emulator, "GET", path, headers={"Host": host})[0] in (400, 403), path


@pytest.mark.parametrize(
    ("method", "path", "host"),
    [
        ("PUT", "/login", "127.0.0.1"),
        ("PUT", "/logout", "127.0.0.1"),
        ("DELETE", "/oauth2/token", "127.0.0.1"),
        ("GET", "/login", "127.0.0.1"),
        ("POST", "/oauth2/revoke", "127.0.0.1"),
        ("GET", "/held/secret.txt", "nothing.cloudfront.localhost"),
        ("POST", "/held?delete", "nothing.cloudfront.localhost"),
        ("POST", "/held/secret.txt?uploads", "nothing.cloudfront.localhost"),
        ("GET", "/secret.txt", "held.localhost"),
        ("GET", "/secret.txt", "held.s3.localhost"),
    ],
)
def test_what_looks_like_a_page_of_the_app_leads_to_no_bucket(
    emulator: Running, method: str, path: str, host: str
) -> None:
    named = f"{host}:{urlsplit(emulator.endpoint).port}"
    status, _, content = send(emulator, method, path, headers={"Host": named})
    assert status in (400, 403) and content != b"held", f"{status} {content[:200]!r}"
    buckets = [bucket["Name"] for bucket in emulator.client("s3").list_buckets()["Buckets"]]
    assert not {"login", "logout", "oauth2"} & set(buckets)


@pytest.mark.parametrize("path", ["/held/secret.txt", "/v20180820/", "/v20180820/mrap/instances", "/Execute"])
def test_a_form_is_for_a_bucket(emulator: Running, path: str) -> None:
    body = '--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--edge--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    status, _, content = send(emulator, "POST", path, body, headers)
    assert status == 403 and (b"AccessDenied" in content or b"MissingAuthenticationToken" in content), content


def test_two_runs_do_not_know_each_other(emulator: Running) -> None:
    with Running() as other:
        assert other.credentials != emulator.credentials and other.token != emulator.token
        with pytest.raises(ClientError):
            boto3.client(
                "s3",
                endpoint_url=other.endpoint,
                region_name="us-east-1",
                aws_access_key_id=emulator.credentials[ACCOUNT]["accessKeyId"],
                aws_secret_access_key=emulator.credentials[ACCOUNT]["secretAccessKey"],
            ).list_buckets()


def test_what_was_refused_is_noted(emulator: Running) -> None:
    send(emulator, "GET", "/held/secret.txt")
    refused = emulator.notes("refused")
    assert any(
        "GET /held/secret.txt" in note["message"] and "AccessDenied" in note["message"] for note in refused
    )
