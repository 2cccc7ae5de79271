"""Settings: where they come from, what is allowed, what is said when they are wrong."""

import re
from pathlib import Path

import pytest

from api.__main__ import check_exposure
from api_settings import ApiSettings
from batch.settings import ArchiveFolderError, BatchSettings, check_archive_folder, network_file_system
from settings import ROOT, SettingError, Settings, explain, load, without_secrets

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


@pytest.mark.parametrize(
    "content",
    ["DATA_DIR=/mnt/Gr\xf6\xdfe\n".encode("latin-1"), b"DATA_DIR=/mnt/a\0b\n", "DATA_DIR=/mnt/a\n".encode("utf-16")],
    ids=["Latin-1", "NUL", "UTF-16"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [BatchSettings, ApiSettings])
def test_a_file_of_settings_that_is_no_text_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, kind: type[Settings]
) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingError, match=r"\.env is not UTF-8 text( \(line 1 .*\))?; save it as UTF-8\."):
        load(kind)


def test_a_file_of_settings_that_is_a_folder_or_leads_nowhere_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.mkdir()
    with pytest.raises(SettingError, match="is no file"):
        load(BatchSettings)
    path.rmdir()
    for target in ("nowhere", ".env"):
        path.symlink_to(target)
        with pytest.raises(SettingError, match="is no file"):
            load(BatchSettings)
        path.unlink()
    assert load(BatchSettings).settle_seconds == 10


def test_a_file_of_settings_that_may_not_be_read_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SETTLE_SECONDS=20\n")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SettingError, match=r"\.env cannot be read \(Permission denied\)"):
        load(BatchSettings)


def test_a_file_of_settings_from_a_windows_editor_loses_no_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfSETTLE_SECONDS=20\r\nERROR_BUDGET=1\r\n")
    assert (load(BatchSettings).settle_seconds, load(BatchSettings).error_budget) == (20, 1)


def test_a_home_folder_that_nobody_has_is_refused_with_a_sentence() -> None:
    with pytest.raises(
        SettingError, match="DATA_DIR=~nobody-here/data: there is no home folder ~nobody-here"
    ):
        load(BatchSettings, data_dir="~nobody-here/data")


def test_a_path_of_bytes_that_are_not_utf_8_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/mnt/caf\udce9")
    assert load(BatchSettings).data_dir == Path("/mnt/caf\udce9")
    (shown,) = [setting for setting in explain(BatchSettings) if setting.name == "DATA_DIR"]
    assert (shown.value, shown.problem) == ("/mnt/caf\udce9", "")


@pytest.mark.parametrize("kind", [BatchSettings, ApiSettings])
@pytest.mark.parametrize("token", ["t\u00f6ken", "10\u20ac", "a\nb", "a ", "\ufeffabc", "\x7f"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated(
    kind: type[Settings], token: str
) -> None:
    with pytest.raises(SettingError, match="only ASCII letters, digits and punctuation") as error:
        load(kind, api_token=f"hush{token}")
    assert str(error.value).startswith("API_TOKEN: ")
    assert "hush" not in str(error.value)


def test_a_token_of_any_ascii_text_is_taken() -> None:
    for token in ("a long random text", "x", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"):
        found = load(ApiSettings, api_token=token).api_token
        assert found is not None
        assert found.get_secret_value() == token


ADDRESS = "http://me:hush@server:5000"


@pytest.mark.parametrize(
    "wrong",
    ["ftp://me:hush@server", "me:hush@server:5000", "http://me:hu sh@ser ver", "http://me:hu@sh@server:x"],
)
def test_a_wrong_address_is_told_without_its_password(wrong: str) -> None:
    with pytest.raises(SettingError, match=r"API_URL=.*…@") as error:
        load(BatchSettings, api_url=wrong)
    assert not re.search("hu|sh", str(error.value).partition(":")[0])
    assert "me:" not in str(error.value)


SEVERAL = "http://a:5000, http://me:hu,sh@b:5000 ,https://c"


def test_several_addresses_are_parted_at_commas_but_not_at_those_of_a_password() -> None:
    found = load(BatchSettings, api_url=SEVERAL).api_url
    assert [str(address.get_secret_value()) for address in found] == [
        "http://a:5000/", "http://me:hu,sh@b:5000/", "https://c/",
    ]  # fmt: skip
    assert load(BatchSettings, api_url="http://a:5000,").api_url == found[:1]


def test_of_several_addresses_the_wrong_one_is_named_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("ftp://me:hush@b", "http://me:hush@b:x", "http://me:hush@"):
        with pytest.raises(SettingError, match=r"^API_URL=(ftp|http)://…@(b|b:x)?: ") as error:
            load(BatchSettings, api_url=f"http://me:hush@a:5000,{wrong}")
        assert "hush" not in str(error.value)
        assert "a:5000" not in str(error.value)
    with pytest.raises(SettingError, match=r"http://…@a:5000/ stands twice") as error:
        load(BatchSettings, api_url="http://me:hush@a:5000,http://me:hush@a:5000/")
    assert "hush" not in str(error.value)


def test_the_settings_are_shown_with_every_server_and_without_any_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given in ("http://me:hush@a:5000,http://me:hush@b:5000", "http://me:hush@a:5000,http://me:hush@b:x"):
        monkeypatch.setenv("API_URL", given)
        (shown,) = [setting for setting in explain(BatchSettings) if setting.name == "API_URL"]
        assert shown.value.count("http://…@") == 2
        assert "hush" not in f"{shown}"


def test_an_address_shows_its_password_nowhere_and_keeps_it() -> None:
    settings = load(BatchSettings, api_url=ADDRESS)
    (address,) = settings.api_url
    assert str(address) == "http://…@server:5000/"
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.api_url}"):
        assert "hush" not in shown
    assert str(address.get_secret_value()) == f"{ADDRESS}/"
    assert without_secrets("http://server:5000") == "http://server:5000"


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


@pytest.mark.parametrize(
    "content", ["cifs", "nfs4", "smb3", "ceph", "9p", "fuse.sshfs", "fuse.rclone", "autofs"]
)
def test_a_share_behind_a_link_is_noticed(tmp_path: Path, content: str) -> None:
    """Whether the link is the ledger, its folder or one above, and whether the ledger exists already or not."""
    share = tmp_path / "share"
    (share / "data").mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\n//server/share {share} {content} rw 0 0\n")
    (tmp_path / "linked").symlink_to(share)
    (tmp_path / "chain").symlink_to("linked/data")
    (tmp_path / "ledger.sqlite3").symlink_to(share / "not-there-yet.sqlite3")
    for path in (
        "linked/data/ledger.sqlite3",
        "chain/a/b/ledger.sqlite3",
        "ledger.sqlite3",
        "x/../linked/l.sqlite3",
    ):
        assert network_file_system(tmp_path / path, mounts) == content, path
    (share / "home").symlink_to(tmp_path)
    assert network_file_system(share / "home" / "own.sqlite3", mounts) == ""


def test_mount_points_are_compared_byte_for_byte(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_bytes(
        b"/dev/sda / ext4 rw 0 0\n//s/a /mnt/Gr\xc3\xb6\xc3\x9fe\\040\xf0\x9f\x91\x95 cifs rw 0 0\n"
        b"//s/b /mnt/back\\134slash cifs rw 0 0\n//s/c /mnt/caf\xe9 cifs rw 0 0\n//s/d /mnt/car\rriage nfs rw 0 0\n"
    )
    for name in ("Größe \N{T-SHIRT}", "back\\slash", "caf\udce9", "car\rriage"):
        assert network_file_system(Path(f"/mnt/{name}/ledger.sqlite3"), mounts), name
    assert network_file_system(Path("/mnt/Größe/ledger.sqlite3"), mounts) == ""
    assert network_file_system(Path("/mnt/café/ledger.sqlite3"), mounts) == ""


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["/ ext4", "/mnt cifs", "/mnt ext4"], ""),
        (["/ ext4", "/mnt ext4", "/mnt cifs"], "cifs"),
        (["/ ext4", "/mnt/data cifs", "/mnt ext4"], ""),
        (["/ ext4", "/mnt cifs", "/mnt/data ext4"], ""),
        (["/mnt/data nfs4", "/ ext4"], "nfs4"),
        (["/ ext4", "/mnt/data autofs", "/mnt/data nfs"], "nfs"),
        (["/ ext4", "/mnt/data autofs", "/mnt/data ext4"], ""),
        (["/ ext4", "/mnt/dat cifs", "/mnt/data2 cifs"], ""),
        (["/ nfs"], "nfs"),
        (["/ ext4", "/mnt fuseblk", ""], ""),
        (["/ btrfs", "/mnt fuse.mergerfs"], ""),
    ],
)
def test_of_several_mounts_the_one_that_is_seen_counts(tmp_path: Path, lines: list[str], found: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("".join(f"source {line} rw 0 0\n" if line else "\n" for line in lines))
    assert network_file_system(Path("/mnt/data/ledger.sqlite3"), mounts) == found


def test_where_there_is_no_list_the_program_that_mounts_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mount"
    program.write_text(
        "#!/bin/sh\necho '/dev/disk3s1s1 on / (apfs, sealed, local, read-only)'\n"
        "echo '//me@nas._smb._tcp.local/photos on /Volumes/My Photos (smbfs, nodev, nosuid, mounted by me)'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    missing = tmp_path / "no-such-list"
    assert network_file_system(Path("/Volumes/My Photos/data/ledger.sqlite3"), missing) == "smbfs"
    assert network_file_system(Path("/Users/me/data/ledger.sqlite3"), missing) == ""


@pytest.mark.parametrize(
    "folder",
    ["incoming", "processed/2025", "review", "failed", "duplicates/x", "predictions", "reports", "demo",
     "Incoming", ".", "", "archive/..", "archive/../incoming", "../data/review/old", "linked/x", "parent/incoming", "file/x",
     "caf\udce9"],
)  # fmt: skip
def test_photos_are_not_archived_where_the_night_keeps_its_own(tmp_path: Path, folder: str) -> None:
    settings = load(BatchSettings, data_dir=tmp_path / "data")
    settings.make_folders()
    (settings.data_dir / "linked").symlink_to("processed")
    (settings.data_dir / "parent").symlink_to(settings.data_dir)
    (settings.data_dir / "file").touch()
    for name in (Path(folder), settings.data_dir / folder):
        with pytest.raises(ArchiveFolderError):
            check_archive_folder(settings, name)


def test_a_purpose_that_is_kept_on_another_disk_is_known_there(tmp_path: Path) -> None:
    settings = load(BatchSettings, data_dir=tmp_path / "data")
    settings.make_folders()
    (tmp_path / "disk").mkdir()
    (settings.data_dir / "processed").symlink_to(tmp_path / "disk")
    with pytest.raises(ArchiveFolderError, match="belongs to processed"):
        check_archive_folder(settings, tmp_path / "disk" / "old")


@pytest.mark.parametrize("folder", ["archive", "old/2025", "incoming-2025", "../archive", "/mnt/archive"])
def test_photos_are_archived_anywhere_else(tmp_path: Path, folder: str) -> None:
    settings = load(BatchSettings, data_dir=tmp_path / "data")
    settings.make_folders()
    check_archive_folder(settings, Path(folder))


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
    (tmp_path / ".env").write_text(f"\ufeff{line}\n", "utf-8")  # as Windows' editors write it
    with pytest.raises(SettingError, match="is not read"):
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
