"""A plugin of pytest for whatever runs clade. Who runs it: as root each test runs as root and as an ordinary user,
who has no id but its own; those marked `users("subuid")` as somebody with a range of subordinate ids, too. An
ordinary user is just that.
"""

import os

import pytest

import clade


def pytest_configure(config):
    config.addinivalue_line("markers", "users(*kinds): who runs it: root, user, subuid")


def pytest_generate_tests(metafunc):
    if "place" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("users")
    kinds = marker.args if marker else ("root", "user")
    if os.geteuid() != 0:
        kinds = [kind for kind in kinds if kind == "user"]
    if not kinds:  # whoever has no right to become any of them says so
        reason = f"only root can be {' or '.join(marker.args)}"
        kinds = [pytest.param(marker.args[0], marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize("place", kinds, indirect=True)


def refuse(reason):
    """A skip where somebody sees it; where nobody does, in CI, a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(name="refuse")
def refuse_fixture():
    return refuse


@pytest.fixture
def place(request):
    who = clade.person(request.param)
    if isinstance(who, str):
        refuse(who)
    here = clade.Place(who)
    yield here
    here.close()


@pytest.fixture(scope="session", autouse=True)
def built():
    assert os.access(clade.CLADE, os.X_OK), f"{clade.CLADE} is missing: ./dev build"
