"""The data as aggregates that tell of no row, `data_checks/profile.json`, and what is made of them.

- `profile.py`, `histogram.py`, `bins.py`: how it is counted
- `sample.py`: rows drawn from it
- `drift.py`: whether other rows look like it; `recorded.py`: the rows a service was asked about
"""

from pushline.data.profile.bins import ColumnProfile
from pushline.data.profile.profile import Profile, load_profile, profile_of, renew_profile, value_of, write_profile

__all__ = ["ColumnProfile", "Profile", "load_profile", "profile_of", "renew_profile", "value_of", "write_profile"]
