"""What has to hold of this repository: its contract, rules, pipelines, workflows, and one delivery. The engine has tests of its own."""
