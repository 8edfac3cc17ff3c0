"""Where a server's address comes from, and what is refused before anything connects."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sagadsl.immutable import replace
from sagadsl.temporal.link.flags import Flags, default_config_file, say_nothing
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.link.shown import DEFAULT, SettingsUnusable, ShownSetting

PROFILES = """
[profile.default]
address = "file.example:7233"
namespace = "of-file"

[profile.cloud]
address = "cloud.example:7233"
api_key = "very-secret"
grpc_meta = {team = "payments"}

[profile.plain]
api_key = "very-secret"
[profile.plain.tls]
disabled = true

[profile.decoded]
[profile.decoded.codec]
endpoint = "http://localhost:8081"
[profile.decoded.tls]
disable_host_verification = true
"""


@pytest.fixture
def profiles(tmp_path: Path) -> str:
    """A file of profiles, as the `temporal config` command writes it."""
    path = tmp_path / "temporal.toml"
    path.write_text(PROFILES, encoding="utf-8")
    return str(path)


def test_without_a_word_the_server_is_the_local_one() -> None:
    settings = resolve(Flags(disable_config_file=True), {})
    assert settings.address == ShownSetting("localhost:7233", DEFAULT)
    assert settings.namespace == ShownSetting("default", DEFAULT)
    assert settings.tls == ShownSetting("off", DEFAULT)
    assert not settings.names_a_server


def test_a_flag_comes_before_a_variable_before_a_profile_before_the_default(profiles: str) -> None:
    """The precedence of the `temporal` command."""
    env = {"TEMPORAL_ADDRESS": "env.example:7233", "TEMPORAL_CONFIG_FILE": profiles}
    by_flag = resolve(Flags(address="flag.example:1"), env)
    by_variable = resolve(Flags(), env)
    by_profile = resolve(Flags(disable_config_env=True, config_file=profiles), env)
    by_default = resolve(Flags(disable_config_env=True, disable_config_file=True), env)
    assert by_flag.address == ShownSetting("flag.example:1", "--address")
    assert by_variable.address == ShownSetting("env.example:7233", "TEMPORAL_ADDRESS")
    assert by_variable.namespace == ShownSetting("of-file", f"profile `default` of {profiles}")
    assert by_profile.address == ShownSetting("file.example:7233", f"profile `default` of {profiles}")
    assert by_default.address == ShownSetting("localhost:7233", DEFAULT)


@pytest.mark.parametrize(
    ("flags", "env"),
    [(Flags(profile="cloud"), {}), (Flags(), {"TEMPORAL_PROFILE": "cloud"})],
    ids=["flag", "variable"],
)
def test_an_api_key_switches_tls_on_and_is_never_shown(profiles: str, flags: Flags, env: dict[str, str]) -> None:
    settings = resolve(flags, {"TEMPORAL_CONFIG_FILE": profiles, **env})
    assert settings.tls == ShownSetting("on", f"profile `cloud` of {profiles}")
    assert settings.api_key == ShownSetting("set", f"profile `cloud` of {profiles}")
    assert settings.secrets["api_key"] == "very-secret"
    assert settings.secrets["rpc_metadata"] == {"team": "payments"}
    assert "very-secret" not in repr(settings)
    assert "very-secret" not in "\n".join(settings.lines())
    assert "very-secret" not in repr(Flags(api_key="very-secret"))


def test_tls_that_is_switched_off_stays_off_with_an_api_key(profiles: str) -> None:
    assert resolve(Flags(config_file=profiles, profile="plain"), {}).tls.value == "off"
    by_flag = resolve(Flags(disable_config_file=True, api_key="k", tls=False), {})
    assert by_flag.tls == ShownSetting("off", "--no-tls")


@pytest.mark.parametrize(
    ("address", "flags", "env"),
    [
        ("temporal.example:7233", Flags(api_key="very-secret", tls=False), {}),
        ("10.0.0.7:7233", Flags(tls=False), {"TEMPORAL_API_KEY": "very-secret"}),
        ("temporal.example:7233", Flags(api_key="very-secret"), {"TEMPORAL_TLS": "false"}),
    ],
)
def test_a_key_that_goes_in_clear_is_told(address: str, flags: Flags, env: dict[str, str]) -> None:
    """Whoever is between reads it; on this machine nobody is, and without a key there is nothing to read."""
    (warning,) = resolve(replace(flags, address=address, disable_config_file=True), env).warnings
    assert "the API key goes to" in warning
    assert address in warning
    assert "very-secret" not in warning
    for host in ("localhost:7233", "127.0.0.1:7233", "[::1]:7233"):
        assert resolve(replace(flags, address=host, disable_config_file=True), env).warnings == ()
    assert resolve(Flags(address=address, tls=False, disable_config_file=True), {}).warnings == ()


def test_a_header_on_the_command_line_replaces_that_of_the_profile(profiles: str) -> None:
    flags = Flags(config_file=profiles, profile="cloud", grpc_meta=("Team=ops", "trace=1=2"))
    assert resolve(flags, {}).secrets["rpc_metadata"] == {"team": "ops", "trace": "1=2"}


@pytest.mark.parametrize(
    ("text", "switched"), [("true", "on"), ("1", "on"), ("yes", "on"), ("false", "off"), ("no", "off"), (" ", "off")]
)
def test_temporal_tls_is_read_as_people_write_it(text: str, switched: str) -> None:
    assert resolve(Flags(disable_config_file=True), {"TEMPORAL_TLS": text}).tls.value == switched


@pytest.mark.parametrize(
    ("flags", "env", "message", "remedy"),
    [
        (
            Flags(config_file="/no/such.toml"),
            {},
            "there is no file `/no/such.toml` (--config-file)",
            "correct the path, or leave it out",
        ),
        (
            Flags(),
            {"TEMPORAL_CONFIG_FILE": "/no/such.toml"},
            "there is no file `/no/such.toml` (TEMPORAL_CONFIG_FILE)",
            "correct the path, or leave it out",
        ),
        (
            Flags(disable_config_file=True),
            {"TEMPORAL_TLS": "banana"},
            "`TEMPORAL_TLS` is `banana`, which is neither yes nor no",
            "write `true` or `false`",
        ),
        (
            Flags(disable_config_file=True, tls_ca_path="/no/ca.pem"),
            {},
            "`/no/ca.pem` cannot be read: no such file or directory (--tls-ca-path)",
            "",
        ),
        (
            Flags(disable_config_file=True),
            {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/no/ca.pem"},
            "`/no/ca.pem` cannot be read: no such file or directory (TEMPORAL_TLS_SERVER_CA_CERT_PATH)",
            "",
        ),
        (
            Flags(disable_config_file=True),
            {"TEMPORAL_TLS_CLIENT_CERT_DATA": "PEM"},
            "a client certificate and its key go together, and only one of them is set (TEMPORAL_TLS_CLIENT_CERT_DATA)",
            "name the key, too: `--tls-key-path FILE`",
        ),
        (
            Flags(disable_config_file=True, tls_disable_host_verification=True),
            {},
            "`--tls-disable-host-verification` is unsupported: Temporal's Python SDK always verifies the server",
            "say with `--tls-server-name` which name the certificate carries, and with `--tls-ca-path` who signed it",
        ),
        (
            Flags(disable_config_file=True, address="https://temporal.example:7233/"),
            {},
            "`https://temporal.example:7233/` is not an address: host and port are needed (--address)",
            "write `temporal.example:7233`",
        ),
        (
            Flags(disable_config_file=True),
            {"TEMPORAL_ADDRESS": "localhost"},
            "`localhost` is not an address: host and port are needed (TEMPORAL_ADDRESS)",
            "write `localhost:7233`, if it is the usual port",
        ),
        (
            Flags(disable_config_file=True, grpc_meta=("team",)),
            {},
            "`--grpc-meta team` has no key and value",
            "write `--grpc-meta KEY=VALUE`",
        ),
        (
            Flags(disable_config_file=True, profile="cloud"),
            {},
            "there is no profile `cloud`, because there is no configuration file",
            "`temporal config set --profile cloud …` writes one",
        ),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused_with_its_origin(
    flags: Flags, env: dict[str, str], message: str, remedy: str
) -> None:
    """The traps of the SDK's own reader."""
    with pytest.raises(SettingsUnusable) as refused:
        resolve(flags, env)
    assert (str(refused.value), refused.value.help) == (message, remedy)


def test_a_profile_that_is_not_there_names_those_that_are(profiles: str) -> None:
    with pytest.raises(SettingsUnusable) as refused:
        resolve(Flags(profile="clod", config_file=profiles), {})
    assert str(refused.value) == f"there is no profile `clod` in {profiles}"
    assert refused.value.help == "profiles there are: `cloud`, `decoded`, `default`, `plain`"


def test_a_file_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[profile.default", encoding="utf-8")
    with pytest.raises(SettingsUnusable, match=r"broken\.toml cannot be used: .*line 1, column 17"):
        resolve(Flags(config_file=str(broken)), {})


def test_what_is_configured_and_not_used_is_said(profiles: str) -> None:
    settings = resolve(Flags(profile="decoded", config_file=profiles), {})
    assert settings.warnings == (
        "disabling the verification of the server's name is not supported by the SDK and is ignored",
    )


def test_the_codec_endpoint_of_a_profile_is_used_unless_a_variable_names_another(profiles: str) -> None:
    flags = Flags(profile="decoded", config_file=profiles)
    found = resolve(flags, {}).codec
    assert (found.value, found.origin) == ("http://localhost:8081", f"profile `decoded` of {profiles}")
    assert resolve(flags, {"TEMPORAL_CODEC_ENDPOINT": "http://x"}).codec.value == "http://x"


def test_profiles_are_where_the_temporal_command_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux; each platform keeps its files elsewhere."""
    monkeypatch.setattr(sys, "platform", "linux")
    expected = tmp_path / "temporalio" / "temporal.toml"
    assert default_config_file({"XDG_CONFIG_HOME": str(tmp_path)}) == expected


def test_all_that_may_be_about_a_server_is_something_to_resolve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is said, `run` begins a server before it imports what resolves settings."""
    monkeypatch.setattr(sys, "platform", "linux")
    home = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/bin"}
    assert say_nothing(Flags(), home | {"SAGADSL_CACHE": "off", "SAGADSL_DEBUG": "1"}, {})
    assert not resolve(Flags(), home).names_a_server
    for said in ("TEMPORAL_ADDRESS", "TEMPORAL_TLS_CA", "SAGADSL_CODEC", "SAGADSL_STORAGE", "OTEL_SDK_DISABLED"):
        assert not say_nothing(Flags(), home | {said: "x"}, {})
    assert not say_nothing(Flags(profile="prod"), home, {})
    assert not say_nothing(Flags(), home, {"connection": {"api_key": {"file": "key"}}})
    assert say_nothing(Flags(), home, {"modules": ["shop"]})
    assert not say_nothing(Flags(otlp="localhost:4317"), home, {})
    default_config_file(home).parent.mkdir()
    default_config_file(home).write_text("")
    assert not say_nothing(Flags(), home, {})
