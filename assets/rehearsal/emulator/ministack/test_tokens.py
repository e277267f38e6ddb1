"""Which tokens of Cognito an HTTP API with a JWT authorizer accepts."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from emulator.ministack.testing import Running


@pytest.fixture(scope="module")
def emulator() -> Iterator[Running]:
    with Running() as running:
        yield running


@pytest.fixture(scope="module")
def tokens(emulator: Running) -> dict[str, str]:
    """The tokens of a user, with the addresses of an API and another client's access token beside them."""
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    user = {"USERNAME": "ann", "PASSWORD": "Secret-123"}
    cognito.admin_create_user(UserPoolId=pool, Username="ann", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(
        UserPoolId=pool, Username="ann", Password=user["PASSWORD"], Permanent=True
    )
    found, clients = [], []
    for name in ("own", "other"):
        client = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName=name,
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]["ClientId"]
        clients.append(client)
        found.append(
            cognito.admin_initiate_auth(
                UserPoolId=pool, ClientId=client, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=user
            )["AuthenticationResult"]
        )
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    role = emulator.role("answers", "lambda", (logs, "*"))
    function = emulator.function("answers", role, "def handler(event, context):\n    return 'hello'\n")
    emulator.client("lambda").add_permission(
        FunctionName="answers",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    api = emulator.client("apigatewayv2")
    made = api.create_api(Name="guarded", ProtocolType="HTTP")["ApiId"]
    authorizer = api.create_authorizer(
        ApiId=made,
        Name="people",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={
            "Issuer": f"https://cognito-idp.us-east-1.amazonaws.com/{pool}",
            "Audience": clients[:1],
        },
    )["AuthorizerId"]
    integration = api.create_integration(
        ApiId=made, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    api.create_route(
        ApiId=made,
        RouteKey="GET /",
        Target=f"integrations/{integration}",
        AuthorizationType="JWT",
        AuthorizerId=authorizer,
    )
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    return {
        "url": f"{emulator.endpoint}/_aws/execute-api/{made}/",
        "access": found[0]["AccessToken"],
        "id": found[0]["IdToken"],
        "refresh": found[0]["RefreshToken"],
        "other": found[1]["AccessToken"],
    }


def status(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "kind,wanted", [("access", 200), ("id", 200), ("refresh", 401), ("other", 401), ("none", 401)]
)
def test_bearer_tokens(tokens: dict[str, str], kind: str, wanted: int) -> None:
    assert status(tokens["url"], tokens.get(kind, "a.b.c")) == wanted
