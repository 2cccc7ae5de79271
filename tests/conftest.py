"""What holds for all tests: `--all` runs those, too, that need more than Python, and lets none be skipped in silence."""

import pytest

NAMED_SKIPS = {
    "this machine has a CUDA device": "what is said where there is none cannot be tried there",
    "this is not Windows": "the .bat, locked files and the task are tried there by .github/workflows/ci.yml",
}
"""Reasons for which a test may be skipped under `--all`, and why nothing can be installed against them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="also the tests marked `optional`; no skips but the named ones"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--all"):
        config.option.markexpr = "not slow"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when something was skipped that should have been run."""
    if session.config.getoption("--all") and session.exitstatus == 0 and _unnamed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason in _unnamed(config) if config.getoption("--all") else ():
        terminalreporter.write_line(f"SKIPPED WITHOUT LEAVE: {reason}", red=True)


def _unnamed(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    reasons = {str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped}
    return sorted(reasons - NAMED_SKIPS.keys())
