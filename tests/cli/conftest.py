import numpy as np
import pytest


@pytest.fixture(scope="session")
def sensors():
    """Return 120 hourly rows whose next temperature is known from temperature and load."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    load, noise = rng.normal(size=120), rng.normal(size=120)
    temperature = np.zeros(120)
    for i in range(1, 120):
        temperature[i] = 0.5 * temperature[i - 1] + 2 * load[i - 1]
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=120, freq="h").strftime("%Y-%m-%d %H:%M"),
            "temperature": temperature.round(3),
            "load": load.round(3),
            "noise": noise.round(3),
        }
    )


@pytest.fixture(scope="session")
def csv(sensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "sensors.csv"
    sensors.to_csv(path, index=False)
    return path
