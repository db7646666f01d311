import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sklexplain.solvers.single_thread import on_one_thread


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@on_one_thread
def threads_inside(*, fail=False):
    if fail:
        raise ValueError("from inside")
    return blas_threads()


def test_one_thread_inside_and_as_before_outside():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        assert threads_inside() == {1}
        with pytest.raises(ValueError, match="from inside"):
            threads_inside(fail=True)
        assert blas_threads() == before
