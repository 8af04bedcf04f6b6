"""The examples are a chat, with the names of those who speak in it.

What it looks like: after training the model greets by name, or speaks of people whom its reader does not know.

Why: people who write to each other use their names, and what a model learned it may say to anybody.

What to do: ask those who speak in it. The app can write Person A, Person B and so on in place of their names, in a new file.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R110", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Whether the names of people who speak in a chat stand in what they say."""
    found = [finding for finding in (case.profile.findings if case.profile else ()) if finding.code == "people"]
    if case.profile is None or not found or found[0].severity != "warning":
        return None
    fix = advice("Write Person A, Person B and so on in place of names.", "pseudonymise")
    return Found(0.6, found[0].what, (fact("people who speak", len(case.profile.speakers)),), (fix,))
