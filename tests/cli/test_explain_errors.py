"""Whatever is wrong is one line that names it, told before anything is fitted."""

import re
import subprocess
import sys

import numpy as np
import pytest

from tests.cli.command import error_line, run


def without_rows(table):
    return table.head(0)


def short(table):
    return table.head(25)


def edited(column, value, row=6):
    def edit(table):
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return edit


def constant(table):
    return table.assign(temperature=3)


def with_text(table):
    return table.assign(city=["Rome", "Oslo"] * 60)


def twice_the_same_time(table):
    table.loc[8, "date"] = table.loc[3, "date"]
    return table


def two_readings(table):
    return table.assign(date=[f"{i % 12 + 1:02}/{i % 9 + 1:02}/2024" for i in range(120)])


def sorted_by_class(table):
    return table.assign(temperature=np.sort(np.repeat(["a", "b"], [100, 20])))


BAD_TABLES = [
    (without_rows, "data.csv has column names but no rows"),
    (
        short,
        r"data.csv is too short: it has 25 rows, --window 20 and --horizon 1 make 5 windows of "
        r"them, .* use a shorter --window, or give more rows",
    ),
    (
        edited("load", np.nan),
        r"data.csv: column 'load' has 1 missing value, first in row 7; fill in or drop such rows, "
        "or leave the column out with --features",
    ),
    (edited("temperature", ""), "column 'temperature' has 1 missing value, first in row 7; .*drop"),
    (edited("load", "inf"), "column 'load' is infinite in row 7; correct that cell"),
    (edited("load", "broken"), r"column 'load' holds text \('broken' in row 7\) among numbers"),
    (
        edited("temperature", "warm"),
        r"column 'temperature' holds text \('warm' in row 7\) among numbers; correct that cell",
    ),
    (
        with_text,
        r"column 'city' holds text \('Rome' in row 1\); encode .* --group city, .*--features",
    ),
    (edited("date", "2024-13-45"), r"column 'date' holds '2024-13-45' in row 7, which is no date"),
    (edited("date", ""), "column 'date' has no time in row 7"),
    (two_readings, r"holds '02/02/2024'|holds '..\/..\/2024' in row \d+, whose day and month"),
    (twice_the_same_time, r"holds 2024-01-01 03:00 in rows 4 and 9; .*--group"),
    (constant, r"column 'temperature' is constant \(3 in all rows\).* another --target"),
    (sorted_by_class, r"column 'temperature' is 'b' only in the test rows, .*shuffle"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_TABLES)
def test_a_table_that_cannot_be_used(sensors, spoil, message, tmp_path):
    spoil(sensors.copy()).to_csv(tmp_path / "data.csv", index=False)
    result = run("explain data.csv --target temperature --time date --out out", cwd=tmp_path)
    assert re.search(message, error_line(result, 1))
    assert result.stdout == ""
    assert not (tmp_path / "out" / "model.joblib").exists()


BAD_FILES = [
    (b"", "data.csv is empty"),
    (b"\n \n", "data.csv is empty"),
    (b"\x89PNG\r\n\x1a\n\0\0\0", "data.csv is a binary file, neither CSV text nor Parquet"),
    ("a,b\n1,München\n".encode("latin-1"), "data.csv is not UTF-8 text .* save it as CSV in UTF-8"),
    (b"a,b,a\n1,2,3\n", "data.csv has more than one column named 'a'; rename"),
    (b"a,b\n1,2\n3,4,5\n", "data.csv is no readable CSV file: .*line 3"),
    (b"a,b\n1,2,9\n3,4,5\n", "data.csv is no readable CSV file"),
    (b"PAR1 and no more", "data.csv is no readable Parquet file"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES)
def test_a_file_that_is_no_table(content, message, tmp_path):
    (tmp_path / "data.csv").write_bytes(content)
    result = run("explain data.csv --target a --out out", cwd=tmp_path)
    assert re.search(message, error_line(result, 1))
    assert not (tmp_path / "out").exists()


def test_files_that_are_not_there_or_not_what_they_are_called(csv, tmp_path):
    (tmp_path / "data.parquet").write_bytes(csv.read_bytes())
    told = {
        "none.csv": "none.csv does not exist",
        "data.parquet": "data.parquet is no Parquet file, whatever its name",
        ".": ". is a folder; name the CSV or Parquet file",
    }
    for name, message in told.items():
        line = error_line(run("explain", name, "--target a --out out", cwd=tmp_path), 1)
        assert message in line


def test_a_column_that_is_not_there_gets_a_suggestion(csv, tmp_path):
    out = tmp_path / "out"
    line = error_line(run("explain", csv, "--target Temprature --out", out), 1)
    assert line == (
        f"sklexplain: {csv} has no column 'Temprature' for --target (did you mean "
        "'temperature'?); it has date, temperature, load, noise"
    )
    line = error_line(run("explain", csv, "--target load --features load,nois --out", out), 1)
    assert "no column 'nois' for --features (did you mean 'noise'?)" in line
    line = error_line(run("explain", csv, "--target temperature --out", out), 1)
    assert "column 'date' holds dates; name it with --time date" in line


def test_a_folder_that_cannot_be_written(csv, tmp_path):
    (tmp_path / "file").touch()
    line = error_line(
        run("explain", csv, "--target load --time date --out", tmp_path / "file" / "deeper"), 1
    )
    assert f"cannot write {tmp_path / 'file' / 'deeper' / 'report.html'}: " in line
    assert "--out" in line


WRONG_USAGE = [
    ("--model gruu", "--model 'gruu' is not known (did you mean 'gru'?); known are gru, lstm"),
    ("--methods permutation,kernalshap", "did you mean 'kernelshap'?"),
    ("--methods ,", "--methods names none"),
    ("--methods lime,lime", "--methods names lime more than once"),
    ("--model ridge --methods deepshap", "deepshap needs a torch model (gru, lstm, rnn, feedforwa"),
    ("--methods treeshap", "treeshap needs trees (forest, boosting), but --model is gru"),
    ("--param hidden_sice=3", "did you mean 'hidden_size'?); known are batch_size, "),
    ("--param hidden_size=big", "'hidden_size' parameter of GRURegressor must be an int"),
    ("--param hidden_size", "must be a name and a value: --param hidden_size=64"),
    ("--param random_state=1", "--param random_state: use --seed"),
    ("--model ridge --device cuda", "--device cuda: --model ridge runs on the CPU only"),
    ("--device abacus", "--device abacus: "),
    ("--test-size 20", "--test-size 20 must be a share of the rows between 0 and 1"),
    ("--window 0", "--window 0 must be 1 or more"),
    ("--window wide", "Invalid value for '--window'"),
    ("--cv 1", "--cv 1 must be 2 folds or more"),
    ("--task guess", "--task 'guess' is not known; known are auto, regression, classification"),
    ("--group date", "--time and --group both name 'date'"),
    ("--features load,temperature --horizon 0", "--target temperature is among --features"),
    ("--features load,date", "--time date is among --features"),
    ("--nonsense", "No such option"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_USAGE)
def test_wrong_usage_is_one_line_and_exits_with_2(csv, tmp_path, options, message):
    base = "--target temperature --time date --quiet --out"
    result = run("explain", csv, base, tmp_path / "out", options)
    assert message in error_line(result, 2)
    assert result.stdout == ""


def test_a_missing_option_is_named(csv):
    assert "Missing option '--target' (see sklexplain explain --help)" in error_line(
        run("explain", csv, "--out out"), 2
    )


def test_data_are_refused_before_anything_heavy_is_imported(csv, tmp_path):
    code = (
        "import sys\n"
        "from sklexplain.cli.commands import app\n"
        "try:\n    app()\n"
        "finally:\n    print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    options = ["--target", "volume", "--out", str(tmp_path / "out")]
    result = subprocess.run(
        [sys.executable, "-c", code, "explain", str(csv), *options], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stdout == "[]\n"


def test_debug_shows_the_traceback(csv, tmp_path):
    result = run("explain", csv, "--target volume --debug --out", tmp_path / "out")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
