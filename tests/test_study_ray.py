"""A study on a Ray cluster of two nodes, one of which is killed in the middle."""

import os

import pytest

from quick_study import quick_study, tables
from tomolens.errors import SettingsError

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
HERE = os.path.dirname(__file__)


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", HERE)  # workers find the tests' own network
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_study_on_two_nodes_is_the_same_and_outlives_one(tmp_path, cluster):
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    quick_study().run(tmp_path / "one", workers=1)
    quick_study().run(tmp_path / "ray", executor="ray", address=cluster.address)
    assert tables(tmp_path / "ray") == tables(tmp_path / "one")
    quick_study("slow", count=24).run(tmp_path / "one-slow", workers=1)
    killed = []

    def kill(stage, done, *_):
        if stage == "explaining and evaluating" and done == 6 and not killed:
            killed.append(node)
            cluster.remove_node(node, allow_graceful=False)

    findings = quick_study("slow", count=24).run(
        tmp_path / "ray-slow", executor="ray", address=cluster.address, progress=kill
    )
    assert killed
    assert len(findings.measured.failed) == 0
    assert tables(tmp_path / "ray-slow") == tables(tmp_path / "one-slow")


def test_no_cluster_is_one_line(tmp_path):
    with pytest.raises(SettingsError, match="no Ray cluster at"):
        quick_study().run(tmp_path / "r", executor="ray", address="127.0.0.1:1")
