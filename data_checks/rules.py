"""What must hold between the columns of a row. `pushline docs contract` explains the fields of a rule.

Each was counted on the 32,950 rows of the example before it was written down. `previous > 0 => pdays <> 999` is not here:
3,334 rows break it, all of them with a failed earlier campaign whose date was not kept.
"""

from pushline.data.rules import Rule

RULES = [
    Rule(
        id="pdays-needs-previous",
        columns=("pdays", "previous"),
        holds="pdays = 999 OR previous > 0",
        reason="Days since an earlier contact are given only where there was one.",
    ),
    Rule(
        id="previous-and-poutcome-agree",
        columns=("previous", "poutcome"),
        holds="(previous = 0) = (poutcome = 'nonexistent')",
        reason="An earlier campaign has an outcome exactly where there was an earlier contact.",
    ),
    Rule(
        id="success-has-pdays",
        columns=("poutcome", "pdays"),
        holds="poutcome <> 'success' OR pdays <> 999",
        reason="The date of a contact that led to a deposit is on record.",
    ),
    Rule(
        id="loans-unknown-together",
        columns=("housing", "loan"),
        holds="(housing = 'unknown') = (loan = 'unknown')",
        reason="Both loans come from one record, so they are known or unknown together.",
        severity="warning",
    ),
]
