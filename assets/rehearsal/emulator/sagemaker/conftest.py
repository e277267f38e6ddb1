"""Fixtures of the SageMaker tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.sagemaker import SageMaker
from emulator.sagemaker.fake_host import FakeHost


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.fixture
def sm(host: FakeHost) -> Iterator[SageMaker]:
    made = SageMaker(host)
    yield made
    made.close()
