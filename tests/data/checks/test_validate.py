"""The suite on DuckDB: same answers as plain SQL, flat memory, no verdict from what could not be evaluated."""

import subprocess
import sys
from pathlib import Path

import duckdb
import msgspec
import pytest

from command import clean_environment
from pushline.data.checks.suite import checks_of
from pushline.data.checks.validate import Validation
from pushline.data.contract import Contract, load_contract
from pushline.data.files.table import name_of
from pushline.data.profile import load_profile
from pushline.data.profile.sample import sample_rows
from pushline.data.rules import Rule, broken, load_rules, valid_values
from pushline.errors import TargetError
from pushline.project import Project
from pushline.results import CheckDataResult, load

pytestmark = pytest.mark.example


@pytest.fixture(scope="module")
def contract(repo: Path) -> Contract:
    return load_contract(repo / "data_checks" / "contract.yml")


@pytest.fixture
def table(repo: Path, contract: Contract, tmp_path: Path) -> Path:
    """A typed table with faults in a sixth of its rows."""
    frame = sample_rows(load_profile(repo / "data_checks" / "profile.json"), contract, 3000, seed=3)
    frame.loc[::50, "age"] = 500
    frame.loc[5::60, "job"] = "poet"
    frame.loc[7::70, "pdays"] = 5
    frame.loc[9::80, "housing"] = "unknown"
    frame.loc[11::90, "education"] = None
    file = tmp_path / "table.parquet"
    frame.to_parquet(file)
    return file


@pytest.mark.slow
def test_great_expectations_counts_what_plain_sql_counts(table: Path, contract: Contract, repo: Path, tmp_path: Path) -> None:
    rules = load_rules(repo / "data_checks" / "rules.py", contract)
    validation = Validation(table, tmp_path)
    failed = validation.failed(checks_of(contract, rules, [column.name for column in contract.columns]))
    validation.close()
    seen = {}
    for check, detail in failed:
        if check.id in ("range", "allowed", "missing-values") or check.id in {rule.id for rule in rules}:
            found = check.explain(detail)
            assert not isinstance(found, list)
            seen[check.id, check.column] = (found.count, found.rows)
    conditions = {("missing-values", c.name): f"{name_of(c.name)} IS NULL" for c in contract.columns}
    conditions |= {("allowed" if c.allowed else "range", c.name): f"NOT ({valid_values(c)})" for c in contract.columns if valid_values(c)}
    conditions |= {(rule.id, rule.columns[0]): broken(rule, contract) for rule in rules}
    counted = {}
    for key, condition in conditions.items():
        rows = duckdb.execute(
            f"SELECT file_row_number FROM read_parquet('{table}', file_row_number=true) WHERE {condition} ORDER BY 1"
        ).fetchall()
        if rows:
            counted[key] = (len(rows), tuple(row for (row,) in rows[:20]))
    assert seen == counted
    assert len(seen) >= 5


def test_a_check_that_can_not_be_evaluated_is_no_verdict(table: Path, contract: Contract, tmp_path: Path) -> None:
    rule = Rule(id="fails-at-run-time", columns=("job",), holds="CAST(job AS INTEGER) > 0", reason="It can't.")
    validation = Validation(table, tmp_path)
    with pytest.raises(TargetError, match="fails-at-run-time"):
        validation.failed(checks_of(contract, [rule], ["job"]))
    validation.close()


def test_text_with_braces_colons_and_quotes_goes_through_a_query(tmp_path: Path) -> None:
    odd = "a:b {c} 'd' %s \"e\""
    columns = [
        {"name": odd, "type": "string", "allowed": ["x", odd]},
        {"name": "kind", "type": "string", "role": "label", "allowed": ["no", odd]},
    ]
    contract = msgspec.convert({"name": "odd", "positive": odd, "columns": columns}, Contract)
    rule = Rule(id="odd", columns=(odd,), holds=f"{name_of(odd)} <> 'x'", reason="It is odd.")
    quoted = odd.replace("'", "''")
    duckdb.execute(
        f"COPY (SELECT CASE WHEN i % 4 = 0 THEN 'x' ELSE '{quoted}' END AS {name_of(odd)}, 'no' AS kind FROM range(40) t(i)) "
        f"TO '{tmp_path / 'odd.parquet'}' (FORMAT parquet)"
    )
    validation = Validation(tmp_path / "odd.parquet", tmp_path)
    failed = {check.id: detail for check, detail in validation.failed(checks_of(contract, [rule], [odd, "kind"]))}
    validation.close()
    assert set(failed) == {"odd", "class-balance", "duplicates"}
    assert failed["odd"]["broken"] == 10
    assert failed["class-balance"]["value"] == odd


@pytest.mark.slow
def test_memory_stays_flat_and_lines_stay_right_on_a_large_file(project: Project, tmp_path: Path) -> None:
    """400,000 rows with a wrong cell far down, and with wrong values in each: within 500 MB, of which packages are 330."""
    large = tmp_path / "large.csv"
    make = [sys.executable, "scripts/bench_checks.py", "--as", "rows:400000", str(large)]
    subprocess.run(make, cwd=project.root, env=clean_environment(), check=True)
    assert large.stat().st_size > 45_000_000
    with large.open() as source, (tmp_path / "cell.csv").open("w") as cell, (tmp_path / "values.csv").open("w") as values:
        for number, line in enumerate(source, 1):
            cell.write(line if number != 350_000 else "forty," + line.split(",", 1)[1])
            values.write(line.replace("telephone", "fax").replace("cellular", "telex"))
    found = {}
    for name in ("cell", "values"):
        code, memory = measured(project, tmp_path / f"{name}.csv")
        assert memory < 500
        findings = load(project.build / "other", CheckDataResult).findings
        found[name] = (code, [(f.id, f.column, f.count, f.lines[:2]) for f in findings])
    assert found == {
        "cell": (1, [("type", "age", 1, (350_000,))]),
        "values": (1, [("allowed", "contact", 400_000, (2, 3))]),
    }


# A process starts with the peak memory of the one that forked it, so a small one stands between this and the measured one.
LAUNCHER = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
print(ended.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measured(project: Project, file: Path) -> tuple[int, float]:
    """Exit code and peak memory in MB of check-data as a process."""
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "pushline", "check-data", str(file)]
    ran = subprocess.run(command, cwd=project.root, env=clean_environment(), capture_output=True, text=True, check=True)
    code, kilobytes = map(int, ran.stdout.split())
    return code, kilobytes / 1024
