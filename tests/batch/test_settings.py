"""Settings: where they come from, what is allowed, what is said when they are wrong."""

import re
from pathlib import Path

import pytest

from api.__main__ import check_exposure
from api.settings import ApiSettings
from batch.settings import BatchSettings, network_file_system
from settings import ROOT, SettingError, Settings, load

EXAMPLE = (ROOT / ".env.example").read_text("utf-8")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in (BatchSettings, ApiSettings):
        monkeypatch.setitem(kind.model_config, "env_file", tmp_path / ".env")
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def test_the_environment_beats_the_env_file_which_beats_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load(BatchSettings).settle_seconds == 10
    (tmp_path / ".env").write_text("SETTLE_SECONDS=20\n")
    assert load(BatchSettings).settle_seconds == 20
    monkeypatch.setenv("SETTLE_SECONDS", "30")
    assert load(BatchSettings).settle_seconds == 30


def test_an_empty_setting_means_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER", "")
    monkeypatch.setenv("API_TOKEN", "")
    assert load(BatchSettings).ledger_path == ROOT / "data" / "ledger.sqlite3"
    assert load(BatchSettings).api_token is None


def test_relative_paths_count_from_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", "elsewhere")
    assert load(BatchSettings).data_dir == ROOT / "elsewhere"
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert load(BatchSettings).data_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [("SETTLE_SECONDS", "-1", BatchSettings), ("SETTLE_SECONDS", "soon", BatchSettings),
     ("AUDIT_SHARE", "2", BatchSettings), ("ERROR_BUDGET", "0", BatchSettings),
     ("API_URL", "here", BatchSettings), ("MAX_IMAGE_MB", "0", BatchSettings),
     ("API_PORT", "99999", ApiSettings), ("REVIEW_PRECISION", "0.5", ApiSettings)],
)  # fmt: skip
def test_a_wrong_value_is_answered_with_the_setting_the_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: type[Settings]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=re.escape(f"{name}={value}: ")):
        load(kind)


def test_a_wrong_token_is_not_repeated() -> None:
    with pytest.raises(SettingError) as error:
        load(ApiSettings, api_token=12345)
    assert "12345" not in str(error.value)


@pytest.mark.parametrize("kind", [BatchSettings, ApiSettings])
def test_every_setting_is_in_the_example_with_its_default(kind: type[Settings]) -> None:
    written = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    for name, field in kind.model_fields.items():
        example = load(kind, **{name: written[name.upper()]}) if written[name.upper()] else load(kind)
        assert getattr(example, name) == getattr(load(kind), name), name
        assert bool(written[name.upper()]) == (field.default not in (None, ())), name


def test_the_example_names_no_setting_that_does_not_exist() -> None:
    known = {name.upper() for kind in (BatchSettings, ApiSettings) for name in kind.model_fields}
    assert set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)) <= known


@pytest.mark.parametrize(("kind", "found"), [("cifs", "cifs"), ("nfs4", "nfs4"), ("ext4", ""), ("tmpfs", "")])
def test_a_network_share_is_noticed(tmp_path: Path, kind: str, found: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\n//server/share /mnt/night\\040photos {kind} rw 0 0\n")
    assert network_file_system(Path("/mnt/night photos/data/ledger.sqlite3"), mounts) == found
    assert network_file_system(Path("/home/data"), mounts) == ""


def test_a_ledger_on_a_network_share_is_refused_with_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "batch.settings.network_file_system", lambda path: "cifs" if "share" in str(path) else ""
    )
    with pytest.raises(SettingError, match="set LEDGER"):
        load(BatchSettings, data_dir="/mnt/share")
    assert load(BatchSettings, data_dir="/mnt/share", ledger="/var/lib/nightsort.sqlite3").data_dir == Path(
        "/mnt/share"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_another_address_than_loopback_needs_a_token(host: str) -> None:
    with pytest.raises(SettingError, match="API_TOKEN"):
        check_exposure(load(ApiSettings, api_host=host))
    check_exposure(load(ApiSettings, api_host=host, api_token="a long random text"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.53"])
def test_loopback_needs_none(host: str) -> None:
    check_exposure(load(ApiSettings, api_host=host))


@pytest.mark.parametrize(
    "line",
    ["IGNORE=*.tmp, #recycle", "IGNORE= #recycle", "IGNORE=\t#recycle", "export IGNORE = *.tmp #recycle, ~*",
     "ignore=a #recycle", "IGNORE=#a, #recycle"],
)  # fmt: skip
def test_a_name_to_ignore_that_became_a_comment_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# IGNORE=#old\n{line}\nSETTLE_SECONDS=5 #seconds\n")
    with pytest.raises(SettingError, match=r"'#recycle.* is not read.*quotes: IGNORE=\".*#recycle"):
        load(BatchSettings)


@pytest.mark.parametrize(
    ("line", "names"),
    [("IGNORE=#recycle", ("#recycle",)), ("IGNORE=*.bak # our own", ("*.bak",)), ("IGNORE=a,#b", ("a", "#b")),
     ('IGNORE="#recycle, *.bak"', ("#recycle", "*.bak")), ("IGNORE='a, #b' #c", ("a", "#b")), ("IGNORE=", ()),
     ("IGNORE= # nothing", ()), ("IGNORE=a #b\nIGNORE=c", ("c",))],
)  # fmt: skip
def test_comments_and_names_that_are_read_whole_are_fine(
    tmp_path: Path, line: str, names: tuple[str, ...]
) -> None:
    (tmp_path / ".env").write_text(f"{line}\n")
    assert load(BatchSettings).ignore == names


def test_the_environments_own_list_is_not_measured_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("IGNORE=a #b\n")
    monkeypatch.setenv("IGNORE", "c #d")
    assert load(BatchSettings).ignore == ("c #d",)
