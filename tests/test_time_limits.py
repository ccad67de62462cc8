import time
from types import SimpleNamespace

import pytest
from conftest import time_limit


def item(minutes):
    return SimpleNamespace(
        name="endless", get_closest_marker=lambda name: SimpleNamespace(kwargs={"minutes": minutes})
    )


def wait():
    with time_limit(item(0.001)):
        time.sleep(60)


def test_a_test_that_waits_for_ever_is_ended():
    with pytest.raises(TimeoutError, match=r"endless: longer than 0\.001 minutes"):
        wait()


def test_the_limit_ends_with_the_test():
    with time_limit(item(0.001)):
        pass
    time.sleep(0.1)
