"""What `pushline --help` shows: every command under what it is for, in a line that fits a terminal of 80 columns."""

from pathlib import Path

import click

from pushline.cli.heartbeat import WITHOUT, beating, last_time

SECTIONS: dict[str, dict[str, str]] = {
    "Start here": {
        "doctor": "What works on this machine, and what to do about the rest",
        "run": "Every stage, from the data to the promoted release",
        "new": "Make a small repository, for your own table or the example",
        "adopt": "Turn this repository to a table of your own",
    },
    "The stages, in order": {
        "fetch": "Get the data that data.lock pins",
        "check-data": "Hold the data, or a file, to the contract and the rules",
        "train": "Run pipelines/train.yml on the checked data",
        "register": "Register the model; may it replace the champion?",
        "deploy": "Start the accepted version beside the live release",
        "smoke": "Ask the candidate what it must be able to answer",
        "load-test": "Put load on the candidate and hold it to the SLO",
        "promote": "Make the candidate the live release",
    },
    "What they left": {
        "report": "Write build/report.html",
        "evidence": "What a person needs to see before approving the release",
        "replay": "What a version would answer otherwise than the champion",
        "evaluate": "Measure a model version on any labelled file",
        "registry": "Carry the model registry between runs of GitHub Actions",
    },
    "The live release": {
        "status": "What is live, what is the candidate, what would come back",
        "releases": "The model versions, what was decided, which one is live",
        "score": "Score the rows of a JSON, CSV or Parquet file",
        "docs": "The pages of the documentation, in the terminal",
        "open": "The report, or the live API's page, in the browser",
        "logs": "Its requests and failures",
        "keys": "Show or change the keys that clients send",
        "openapi": "Its API document",
        "watch": "Does it answer as it must, and have its inputs drifted?",
        "performance": "Does it still do what its card promises?",
        "outcomes": "Add what became of the rows that were scored",
        "records": "Export its prediction log, or delete a request from it",
        "rollback": "Bring back the release before",
        "discard": "Remove the candidate",
        "start": "Let the release that was live answer again",
        "stop": "Stop the live release and any candidate",
    },
    "Data and scores": {
        "score-batch": "Score a CSV or Parquet file of any size",
        "data": "Add, refresh, list and compare the pinned data",
        "drift": "Do rows still look like those that were learned from?",
        "profile": "Make data_checks/profile.json from the checked table",
        "sample": "Generate rows from the profile",
    },
    "Pipelines": {
        "publish": "Make a numbered version that others can start",
        "consume": "Start a run of a published pipeline and follow it",
        "pipelines": "List, describe, retire and serve published pipelines",
        "schedule": "When a pipeline runs by itself",
        "retrain": "Train on all pinned data and decide; release nothing",
    },
    "Set up": {
        "bootstrap": "Set up GitHub or Azure for this repository",
        "upgrade": "Bring this repository to a newer version of Pushline",
        "serve": "Answer with the champion, in the foreground",
        "completion": "What a shell needs to complete commands with Tab",
    },
}


class Listing(click.Group):
    """A group whose commands are listed with their whole first sentence, wrapped rather than cut."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, one.get_short_help_str(200)) for name, one in sorted(self.commands.items()) if not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Sections(click.Group):
    """The commands under their sections, each of which shows that it is still at work where it is silent for long."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Sections in the order of a user's way; a command that no section names is shown all the same."""
        width = max(map(len, self.commands))
        known = {name for section in SECTIONS.values() for name in section}
        rest = {name: one.get_short_help_str(60) for name, one in self.commands.items() if name not in known and not one.hidden}
        for heading, commands in {**SECTIONS, "Others": rest}.items():
            rows = [(f"{name:<{width}}", words) for name, words in commands.items() if name in self.commands]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name and name not in WITHOUT and not ctx.resilient_parsing and not {"-h", "--help"} & set(rest):
            ctx.with_resource(beating(name, last_time(Path(ctx.params.get("project") or ".") / "build", name)))
        return name, command, rest
